// Loads settings from a directory of the test's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "settings/settings.hpp"

using sidecar::settings::Environment;
using sidecar::settings::Loaded;

// A directory that goes when its owner does.
class TestDirectory
{
public:
	TestDirectory();
	~TestDirectory();
	TestDirectory(const TestDirectory &) = delete;
	TestDirectory &operator=(const TestDirectory &) = delete;

	const std::string &path() const noexcept { return path_; }
	std::string write(const std::string &name, std::string_view content, unsigned mode = 0600);

private:
	std::string path_;
};

// With a DATABASE_URL, unless `environment` has one.
Loaded load_toml(std::string_view toml, Environment environment = {});
Loaded load_environment(Environment environment);
// With a GOOGLE_CLIENT_SECRET and its like where a block is all that matters.
Loaded load_provider(std::string_view block);

// The settings that are faulted, in order.
std::vector<std::string> faulted(const Loaded &loaded);
// Whether there is exactly one error, for `setting`, with `part` in its message.
testing::AssertionResult has_error(const Loaded &loaded, std::string_view setting,
								   std::string_view part);
testing::AssertionResult has_no_error(const Loaded &loaded);
bool has_warning(const Loaded &loaded, std::string_view part);
