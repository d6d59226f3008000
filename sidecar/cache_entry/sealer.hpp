// Seals what the cache writes under OAUTH_CACHE_KEY (Fernet).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/fernet.hpp"
#include "common/secret_string.hpp"

namespace sidecar::cache_entry
{

// Not for use by two threads at once.
class Sealer
{
public:
	// Empty: nothing is sealed. Throws std::invalid_argument if the key is not a
	// Fernet key, and std::runtime_error if OpenSSL refuses.
	explicit Sealer(const common::Secret &key);

	bool is_active() const noexcept { return cipher_.has_value(); }

	// Throws std::runtime_error if OpenSSL fails.
	std::string seal(std::string_view plaintext) const;
	// Nothing if the text is damaged or was sealed with another key.
	std::optional<common::Secret> open(std::string_view token) const;

private:
	mutable std::optional<common::fernet::Cipher> cipher_; // its contexts are work space
};

} // namespace sidecar::cache_entry
