#include "oauth/stored_grant.hpp"

#include "oauth/json.hpp"

namespace sidecar::oauth
{

StoredGrant read_stored_grant(std::optional<std::string_view> scopes, std::string_view details)
{
	StoredGrant grant;
	if (scopes)
		grant.scopes = *scopes;
	const auto read = parse_json(details, 64);
	if (!read || !read->is_object())
		return grant;
	const auto text = [&](std::string_view name) {
		return std::string(find_string(*read, name).value_or(""));
	};
	grant.issuer = text("issuer");
	grant.account_id = text("account_id");
	grant.client_id = text("client_id");
	if (const auto *extra = find_path(*read, "extra"); extra && extra->is_object())
		grant.extra = boost::json::object(extra->get_object(), boost::json::storage_ptr());
	return grant;
}

} // namespace sidecar::oauth
