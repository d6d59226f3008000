// Reads the test vectors of the Fernet specification (tests/vectors).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/fernet.hpp"

// One object of a file: each member's value as text, strings without their
// quotation marks. Knows no more of JSON than these files have.
using Vector = std::map<std::string, std::string>;

// Throws std::runtime_error if the file cannot be read as such.
std::vector<Vector> read_vectors(const std::string &file);

// "1985-10-26T01:20:00-07:00" in seconds since 1970 UTC.
std::uint64_t parse_time(const std::string &text);

// "[0, 1, …, 15]".
common::fernet::Iv parse_iv(const std::string &text);
