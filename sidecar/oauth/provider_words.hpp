// What a provider says when it refuses, for the log: its code, and its description
// cut short, without secrets (docs/design/flow.md, "Providers").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/parameters.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/redactor.hpp"

namespace sidecar::oauth
{

struct ProviderWords {
	std::string code;        // empty: there was none
	std::string description; // the same
	int status = 0;          // of HTTP; 0: it came through the browser
};

// Parameters of a callback that are for people only.
inline constexpr std::string_view kProseParameters[] = {
	"error_description", "error_message", "error_reason", "error_code", "error_subcode"};

ProviderWords words_of(const http::Parameters &callback, const Redactor &redactor);

// The words of an answer without a grant, in every form: RFC 6749 section 5.2, the objects
// and lists of others, an HTML page of a proxy. Tokens in it are hidden, too. If no answer
// came, the description says what happened to the connection.
ProviderWords words_of(const ProviderAnswer &answer, Redactor &redactor);

// The same, unchanged, for decisions. It never goes into a log.
struct RawWords {
	struct Code {
		std::string_view name; // of the member: error, suberror
		std::string value;
	};
	RawWords() = default;
	RawWords(RawWords &&) = default;
	~RawWords();

	std::vector<Code> codes;
	std::string description;
};
RawWords raw_words_of(const ProviderAnswer &answer);

} // namespace sidecar::oauth
