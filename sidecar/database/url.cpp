#include "database/url.hpp"

#include <libpq-fe.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <memory>
#include <string_view>

namespace sidecar::database
{

namespace
{

constexpr const char *kEncode =
	"must have the characters @ / : ? # and % percent-encoded in user and password";

struct WipeAndFree {
	void operator()(PQconninfoOption *options) const noexcept
	{
		for (const PQconninfoOption *option = options; option->keyword != nullptr; option++)
			if (option->val != nullptr)
				OPENSSL_cleanse(option->val, std::strlen(option->val));
		PQconninfoFree(options);
	}
};
using Options = std::unique_ptr<PQconninfoOption, WipeAndFree>;

bool is_uri(std::string_view url) noexcept
{
	return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

std::string_view value_of(const Options &options, std::string_view keyword) noexcept
{
	for (const PQconninfoOption *option = options.get(); option->keyword != nullptr; option++)
		if (keyword == option->keyword && option->val != nullptr)
			return option->val;
	return {};
}

bool is_list_of_ports(std::string_view ports) noexcept
{
	return std::all_of(ports.begin(), ports.end(),
					   [](unsigned char c) { return std::isdigit(c) != 0 || c == ','; });
}

} // namespace

std::optional<std::string> fault_of_url(const Secret &url)
{
	const std::string_view text = url.reveal();
	if (text.empty())
		return "is empty";
	if (text.find('\0') != text.npos)
		return "holds a NUL character";
	// libpq's own message may quote the whole text, so it goes unread.
	char *message = nullptr;
	const Options options(PQconninfoParse(url.c_str(), &message));
	if (message != nullptr) {
		OPENSSL_cleanse(message, std::strlen(message));
		PQfreemem(message);
	}
	if (!options)
		return is_uri(text) ? kEncode
							: "is neither a postgresql:// URL nor a list of key=value pairs";
	if (!is_uri(text))
		return std::nullopt;
	// A bare / ends the host, a bare @ the password: the rest lands elsewhere.
	const bool is_torn =
		value_of(options, "host").find('@') != text.npos ||
		!is_list_of_ports(value_of(options, "port")) ||
		(value_of(options, "user").empty() && value_of(options, "dbname").find('@') != text.npos);
	return is_torn ? std::optional<std::string>(kEncode) : std::nullopt;
}

} // namespace sidecar::database
