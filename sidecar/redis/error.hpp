// Why a command has no answer. The text is for the log: it contains no part of a command or
// of stored data.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sidecar::redis
{

class Error : public std::runtime_error
{
public:
	enum class Kind {
		// No connection, no answer in time, or a Redis that cannot serve now
		// (LOADING, READONLY, MASTERDOWN, CLUSTERDOWN, BUSY, NOAUTH). Whether the
		// command was carried out is not known.
		unavailable,
		// Redis refuses this command: WRONGTYPE, NOPERM, OOM, NOSCRIPT…
		refused
	};

	static Error unavailable(const std::string &why) { return Error(Kind::unavailable, why); }
	// By the first word of what Redis said.
	static Error refused(std::string_view code)
	{
		return Error(Kind::refused, "Redis refused a command: " + std::string(code));
	}

	bool is_unavailable() const noexcept { return kind_ == Kind::unavailable; }

private:
	Error(Kind kind, const std::string &text) : std::runtime_error(text), kind_(kind) {}

	Kind kind_;
};

} // namespace sidecar::redis
