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
	std::string code;        // empty: it gave none
	std::string description; // the same
	int status = 0;          // of HTTP; 0: it came by the browser
};

// Parameters of a callback that people read: they decide nothing.
inline constexpr std::string_view kProseParameters[] = {
	"error_description", "error_message", "error_reason", "error_code", "error_subcode"};

ProviderWords words_of(const http::Parameters &callback, const Redactor &redactor);

// Of an answer that holds no grant, in whichever form: RFC 6749 section 5.2, the
// objects and lists of others, an HTML page of a proxy. Tokens in it are hidden, too.
// Where no answer came, the description says what became of the connection.
ProviderWords words_of(const ProviderAnswer &answer, Redactor &redactor);

// The same as it came, for decisions; never for a log.
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
