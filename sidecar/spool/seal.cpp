#include "spool/seal.hpp"

#include <boost/json/serializer.hpp>
#include <openssl/crypto.h>

#include <ctime>
#include <stdexcept>

namespace sidecar::spool
{

namespace
{

common::fernet::Key parse_key(const common::Secret &text)
{
	auto key = common::fernet::Key::parse(text.reveal());
	if (!key)
		throw std::invalid_argument("the attempt's spool key is not a Fernet key");
	return std::move(*key);
}

void append_text(common::Secret &json, std::string_view text)
{
	boost::json::serializer serializer;
	serializer.reset(boost::json::string_view(text));
	char part[1024];
	while (!serializer.done())
		json.append(serializer.read(part));
	OPENSSL_cleanse(part, sizeof part);
}

common::Secret write_answer(const Answer &answer)
{
	common::Secret json("{\"access_token\":");
	append_text(json, answer.access_token);
	if (answer.refresh_token) {
		json.append(",\"refresh_token\":");
		append_text(json, *answer.refresh_token);
	}
	if (answer.expires_at) {
		json.append(",\"expires_at\":");
		json.append(std::to_string(*answer.expires_at));
	}
	if (answer.scopes) {
		json.append(",\"scopes\":");
		append_text(json, *answer.scopes);
	}
	if (!answer.details.empty()) {
		json.append(",\"details\":");
		json.append(answer.details);
	}
	json.append("}");
	return json;
}

} // namespace

Seal::Seal(const common::Secret &spool_key) : cipher_(parse_key(spool_key)) {}

std::string Seal::close(const Answer &answer)
{
	const common::Secret plaintext = write_answer(answer);
	std::string token(common::fernet::token_chars(plaintext.size()), '\0');
	common::fernet::Iv iv;
	const auto now = static_cast<std::uint64_t>(std::time(nullptr));
	if (!common::fernet::random_iv(iv) || !cipher_.encrypt(plaintext.reveal(), now, iv, token))
		throw std::runtime_error("OpenSSL could not seal an answer for the spool");
	return token;
}

} // namespace sidecar::spool
