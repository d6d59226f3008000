#include "endpoints/details.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace sidecar::endpoints
{

namespace
{

// An empty object if there are no details.
boost::json::object read(const std::string &details)
{
	if (details.empty()) // most have none, and the parser would take longer than all the rest
		return {};
	boost::system::error_code error;
	boost::json::value value = boost::json::parse(details, error);
	return !error && value.is_object() ? std::move(value.get_object()) : boost::json::object();
}

std::optional<std::string> text_of(const boost::json::object &details, std::string_view name)
{
	const boost::json::value *member = details.if_contains(name);
	return member != nullptr && member->is_string()
			   ? std::optional<std::string>(std::string(member->get_string()))
			   : std::nullopt;
}

} // namespace

void add_details(JsonObject &object, const std::string &details)
{
	const boost::json::object known = read(details);
	const auto id = text_of(known, "account_id");
	const auto label = text_of(known, "account_label");
	if (id || label) {
		JsonObject account;
		account.add("id", id).add("label", label);
		object.add_json("account", std::move(account).finish());
	} else {
		object.add_json("account", {});
	}
	const boost::json::value *extra = known.if_contains("extra");
	object.add_json("extra", extra != nullptr ? boost::json::serialize(*extra) : std::string());
}

std::optional<std::string> connected_at(const std::string &details)
{
	// In PostgreSQL's format. Our sessions have the time zone UTC.
	constexpr std::size_t kToSeconds = std::string_view("2026-11-22T09:32:37").size();
	std::optional<std::string> time = text_of(read(details), "connected_at");
	if (time && time->size() > kToSeconds)
		*time = time->substr(0, kToSeconds) + "+00:00";
	return time;
}

} // namespace sidecar::endpoints
