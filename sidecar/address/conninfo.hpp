// An address as libpq parses it: its options by keyword.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::address
{

// The password is one of the options, so they are wiped.
class Conninfo
{
public:
	// The options of a URL or a list of key=value pairs. Empty if libpq refuses it. Its message
	// is not used, because it may quote the whole text.
	static Conninfo of(const common::Secret &address);
	// The defaults, if an address does not say: the environment (PGHOST …), libpq's own.
	static Conninfo defaults();
	// What libpq connects by: the address, its service in a service file, the defaults.
	static Conninfo effective(const common::Secret &address);

	explicit operator bool() const noexcept { return options_ != nullptr; }
	// Empty if it is not set.
	std::string_view value(std::string_view keyword) const noexcept;
	// Every keyword that this libpq knows.
	std::vector<std::string> keywords() const;

private:
	struct WipeAndFree {
		void operator()(PQconninfoOption *options) const noexcept;
	};

	explicit Conninfo(PQconninfoOption *options) : options_(options) {}

	std::unique_ptr<PQconninfoOption, WipeAndFree> options_;
};

// The parts of a list, "a,b": at least one, any of which may be empty.
std::vector<std::string> parts_of(std::string_view list);

} // namespace sidecar::address
