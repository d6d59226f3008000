// Seals a provider's answer with an attempt's own key, for oauth_refresh_replay().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/fernet.hpp"
#include "common/secret_string.hpp"

namespace sidecar::spool
{

// The provider's answer. Empty members are left out.
struct Answer {
	std::string_view access_token;
	std::optional<std::string_view> refresh_token;
	std::optional<std::int64_t> expires_at; // seconds since 1970 UTC
	std::optional<std::string_view> scopes; // space-separated
	std::string_view details;               // a JSON object
};

// Construct it before the provider is called: a bad key is then found before anything can
// get lost.
class Seal
{
public:
	// `spool_key` is oauth_refresh_begin()'s; the caller wipes it then. Throws
	// std::invalid_argument if it is not a Fernet key, and std::runtime_error if
	// OpenSSL refuses.
	explicit Seal(const common::Secret &spool_key);

	// The Fernet token of {"access_token":…,"refresh_token":…,"expires_at":…,"scopes":…,
	// "details":…}; no plaintext is left in memory. Throws std::runtime_error if
	// OpenSSL fails. Not for use by two threads at once.
	std::string close(const Answer &answer);

private:
	common::fernet::Cipher cipher_; // wipes its key when it dies
};

} // namespace sidecar::spool
