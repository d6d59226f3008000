#include "vectors.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace
{

class Reader
{
public:
	explicit Reader(std::istream &in) : in_(in) {}

	std::vector<Vector> array()
	{
		std::vector<Vector> vectors;
		expect('[');
		do
			vectors.push_back(object());
		while (next() == ',');
		return vectors; // the bracket that ended it has been read
	}

private:
	Vector object()
	{
		Vector members;
		expect('{');
		char after;
		do {
			expect('"');
			const auto name = up_to('"');
			expect(':');
			members[name] = value();
			after = next();
		} while (after == ',');
		require(after == '}');
		return members;
	}

	std::string value()
	{
		const char first = next();
		if (first == '"')
			return up_to('"');
		if (first == '[')
			return up_to(']');

		std::string digits(1, first);
		while (std::isdigit(in_.peek()))
			digits += static_cast<char>(in_.get());
		return digits;
	}

	std::string up_to(char end)
	{
		std::string text;
		require(static_cast<bool>(std::getline(in_, text, end)));
		require(text.find('\\') == std::string::npos);
		return text;
	}

	char next()
	{
		char character = '\0';
		require(static_cast<bool>(in_ >> character)); // skips white space
		return character;
	}

	void expect(char character) { require(next() == character); }

	void require(bool good)
	{
		if (!good)
			throw std::runtime_error("not a file of vectors");
	}

	std::istream &in_;
};

} // namespace

std::vector<Vector> read_vectors(const std::string &file)
{
	std::ifstream in(VECTORS "/" + file);
	return Reader(in).array();
}

std::uint64_t parse_time(const std::string &text)
{
	int year, hour, minute, second, zone_hour, zone_minute;
	unsigned month, day;
	char sign;
	if (std::sscanf(text.c_str(), "%d-%u-%uT%d:%d:%d%c%d:%d", &year, &month, &day, &hour, &minute,
					&second, &sign, &zone_hour, &zone_minute) != 9)
		throw std::runtime_error("not a time: " + text);

	using namespace std::chrono;
	const auto zone = hours(zone_hour) + minutes(zone_minute);
	const sys_seconds local = sys_days(std::chrono::year(year) / month / day) + hours(hour) +
							  minutes(minute) + seconds(second);
	const auto utc = sign == '-' ? local + zone : local - zone;
	return static_cast<std::uint64_t>(utc.time_since_epoch().count());
}

common::fernet::Iv parse_iv(const std::string &text)
{
	common::fernet::Iv iv;
	std::istringstream in(text);
	for (auto &byte : iv) {
		int value;
		char comma;
		if (!(in >> value))
			throw std::runtime_error("not an IV: " + text);
		byte = static_cast<unsigned char>(value);
		in >> comma;
	}
	return iv;
}
