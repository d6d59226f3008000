// Looks for functions in statements of arbitrary bytes (libFuzzer; E16). The first four
// bytes choose a name of ours, how it is written, and where in the rest it is put.
//
//   a name that is put there as a word is found, however it is written
//   with and without a list of further names, the same is found
//   the name of a prepared statement that is executed is found
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/ascii.hpp"
#include "redaction/statement_text.hpp"

using namespace oauth_tokens;

namespace
{

constexpr std::string_view kAlso = "save_token\nw\n";
constexpr std::string_view kEscapes = "\\!$~q";

void require(bool good)
{
	if (!good)
		std::abort();
}

// As U&"", with every character escaped that the byte chooses.
std::string escaped(std::string_view name, unsigned char choice)
{
	const char escape = kEscapes[choice % kEscapes.size()];
	std::string out = "u&\"";
	for (const char c : name) {
		const bool is_escaped = c == escape || (choice >> (out.size() % 7) & 1) != 0;
		char text[9];
		std::snprintf(text, sizeof text, choice & 64 ? "%c+%06x" : "%c%04X", escape,
					  static_cast<unsigned>(c));
		out += is_escaped ? text : std::string(1, c);
	}
	out += '"';
	if (escape == '\\')
		return out;
	const std::string quoted =
		choice & 32 ? "$q$" + std::string(1, escape) + "$q$" : "E'" + std::string(1, escape) + "'";
	return out + "/**/UESCAPE" + (choice & 128 ? quoted : "'" + std::string(1, escape) + "'");
}

std::string written(std::string_view name, unsigned char choice, unsigned char escapes)
{
	if (choice & 1)
		return escaped(name, escapes);
	std::string out(name);
	for (std::size_t at = 0; at < out.size(); at += 1 + choice % 7)
		if (common::is_letter(out[at]) && (choice & 8))
			out[at] = static_cast<char>(out[at] - ('a' - 'A'));
	return choice & 4 ? "\"" + std::string(name) + "\"" : out;
}

void check_any(std::string_view text)
{
	const std::string_view ours = named_function(text, {});
	const std::string_view any = named_function(text, kAlso);
	require(ours.empty() || !any.empty());
	require(named_function(text, "no_such_name_in_any_text\n") == ours ||
			text.find("no_such_name_in_any_text") != text.npos);
	if (text.find('\'') != text.npos)
		require(has_constant(text));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	if (size < 4)
		return 0;
	const std::string_view text(reinterpret_cast<const char *>(bytes + 4), size - 4);
	check_any(text);

	const std::size_t at = bytes[2] % (text.size() + 1);
	const std::string_view name = public_names[bytes[0] % public_names.size()];
	const std::string before = std::string(text.substr(0, at)) + " ";
	if (std::string_view(before).ends_with(placeholder_begin))
		return 0;
	const std::string behind = " " + std::string(text.substr(at));
	require(!named_function(before + written(name, bytes[1], bytes[3]) + behind, {}).empty());

	const std::string statement = "EXECUTE " + written(name, bytes[1], bytes[3]) + behind;
	const auto is_ours = [](Name &executed, void *) {
		return !named_function(executed.text(), {}).empty();
	};
	require(any_executed(statement, is_ours, nullptr));
	return 0;
}
