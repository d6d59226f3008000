#include "address/conninfo.hpp"

#include <openssl/crypto.h>

#include <cstring>

namespace sidecar::address
{

void Conninfo::WipeAndFree::operator()(PQconninfoOption *options) const noexcept
{
	for (const PQconninfoOption *option = options; option->keyword != nullptr; option++)
		if (option->val != nullptr)
			OPENSSL_cleanse(option->val, std::strlen(option->val));
	PQconninfoFree(options);
}

Conninfo Conninfo::of(const common::Secret &address)
{
	char *message = nullptr;
	Conninfo parsed(PQconninfoParse(address.c_str(), &message));
	if (message != nullptr) {
		OPENSSL_cleanse(message, std::strlen(message));
		PQfreemem(message);
	}
	return parsed;
}

Conninfo Conninfo::defaults()
{
	return Conninfo(PQconndefaults());
}

// libpq reads service files only for a connection. This one ends before a name is looked up,
// because of an invalid value.
Conninfo Conninfo::effective(const common::Secret &address)
{
	const char *const keywords[] = {"dbname", "channel_binding", nullptr};
	const char *const values[] = {address.c_str(), "never begun", nullptr};
	const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
		PQconnectStartParams(keywords, values, 1), PQfinish);
	return Conninfo(PQconninfo(connection.get()));
}

std::string_view Conninfo::value(std::string_view keyword) const noexcept
{
	const PQconninfoOption *option = options_.get();
	for (; option != nullptr && option->keyword != nullptr; option++)
		if (keyword == option->keyword && option->val != nullptr)
			return option->val;
	return {};
}

std::vector<std::string> Conninfo::keywords() const
{
	std::vector<std::string> all;
	const PQconninfoOption *option = options_.get();
	for (; option != nullptr && option->keyword != nullptr; option++)
		all.emplace_back(option->keyword);
	return all;
}

std::vector<std::string> parts_of(std::string_view list)
{
	std::vector<std::string> parts;
	for (std::size_t comma = 0; comma != list.npos; list.remove_prefix(comma + 1)) {
		comma = list.find(',');
		parts.emplace_back(list.substr(0, comma));
		if (comma == list.npos)
			break;
	}
	return parts;
}

} // namespace sidecar::address
