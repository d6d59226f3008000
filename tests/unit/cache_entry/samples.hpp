// What the tests of the cache's formats share.
#pragma once

#include <random>
#include <string>
#include <string_view>

#include "cache_entry/entry.hpp"
#include "oauth/attempt.hpp"

namespace samples
{

constexpr std::string_view kCacheKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
constexpr std::string_view kOtherCacheKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
constexpr long long kExpiry = 1795339957; // 2026-11-22T09:32:37+00:00

inline sidecar::oauth::Identity identity()
{
	return {"0b4a3a9e-8c55-4a7e-9d0e-7f0e6a1b2c3d", "google.work", "user", "7"};
}

inline sidecar::cache_entry::Entry entry(std::string_view access_token = "ya29.A0")
{
	sidecar::cache_entry::Entry made;
	made.access_token = common::Secret(access_token);
	made.expires_at = kExpiry;
	made.scope = "calendar email";
	return made;
}

// Of the characters that escaping is about, mostly.
inline std::string random_text(std::mt19937 &random, std::string_view alphabet)
{
	std::string text(1 + random() % 4, '\0');
	for (char &c : text)
		c = alphabet[random() % alphabet.size()];
	return text;
}

} // namespace samples
