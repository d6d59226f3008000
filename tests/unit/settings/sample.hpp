// The TOML file's sample, with what is commented out.
#pragma once

#include <string>
#include <vector>

#include "loading.hpp"

// Of a file of the checkout.
std::vector<std::string> read_lines(const std::string &path);
// A setting that is commented out has no space after its '#'; prose has one.
std::string uncommented(const std::string &line);

struct Sample {
	std::vector<std::string> top; // settings above the first block, one a line
	std::string blocks;           // all providers and API tokens
	Environment variables;        // those that blocks and settings name
};

Sample read_sample();
