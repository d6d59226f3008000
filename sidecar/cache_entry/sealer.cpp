#include "cache_entry/sealer.hpp"

#include <ctime>
#include <stdexcept>

namespace sidecar::cache_entry
{

Sealer::Sealer(const common::Secret &key)
{
	if (key.empty())
		return;
	const auto parsed = common::fernet::Key::parse(key.reveal());
	if (!parsed)
		throw std::invalid_argument("the cache's key is not a Fernet key");
	cipher_.emplace(*parsed);
}

std::string Sealer::seal(std::string_view plaintext) const
{
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	common::fernet::Iv iv;
	const auto now = static_cast<std::uint64_t>(std::time(nullptr));
	if (!cipher_ || !common::fernet::random_iv(iv) || !cipher_->encrypt(plaintext, now, iv, token))
		throw std::runtime_error("OpenSSL could not seal an entry of the cache");
	return token;
}

std::optional<common::Secret> Sealer::open(std::string_view token) const
{
	std::string buffer(common::fernet::decoded_capacity(token.size()), '\0');
	auto *bytes = reinterpret_cast<unsigned char *>(buffer.data());
	auto envelope = common::fernet::Envelope::decode(token, {bytes, buffer.size()});
	if (!cipher_ || !envelope || !cipher_->verify(*envelope))
		return std::nullopt;
	const auto opened = cipher_->decrypt(*envelope);
	if (!opened)
		return std::nullopt;
	// The plaintext is at the buffer's start.
	std::optional<common::Secret> plaintext(std::string_view(opened->data(), opened->size()));
	common::wipe(buffer);
	return plaintext;
}

} // namespace sidecar::cache_entry
