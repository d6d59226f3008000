// Finds the members of a token answer: beside the access token under the usual names, or at
// the paths of the settings. Also finds members that look like one that was not found there.
#pragma once

#include <boost/json/value.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "oauth/provider.hpp"

namespace sidecar::oauth
{

struct Member {
	std::string_view name; // as the answer has it, or the path of the settings
	const boost::json::value *value = nullptr;
	explicit operator bool() const noexcept { return value != nullptr; }
};

class AnswerMembers
{
public:
	AnswerMembers(const Provider &provider, const boost::json::value &answer);

	// Null if the answer has none.
	const boost::json::value *access_token() const noexcept { return access_token_; }

	// The first of `names` that exists and is not null. Only beside the access token: members
	// elsewhere belong to another grant (Slack answers a bot's token and a user's at once).
	Member beside(std::initializer_list<std::string_view> names) const;
	// The member at the path. If the path is empty, the first of `names`.
	Member at(std::string_view path, std::initializer_list<std::string_view> names) const;

	// Members anywhere in the answer with one of these names.
	struct LookAlike {
		std::string path; // empty if a log must not contain it
		const boost::json::value *value;
	};
	std::vector<LookAlike> refresh_tokens() const;
	std::vector<LookAlike> expiries() const;
	std::vector<LookAlike> scopes() const;

private:
	const boost::json::value &answer_;
	const boost::json::value *beside_ = nullptr; // the object that has the access token
	const boost::json::value *access_token_ = nullptr;
};

} // namespace sidecar::oauth
