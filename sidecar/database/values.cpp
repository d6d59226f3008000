#include "database/values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace sidecar::database
{

namespace
{

constexpr double kYear1 = -62'135'596'800; // 0001-01-01T00:00:00Z

template <typename T>
T parse(std::string_view text)
{
	T value{};
	const char *end = text.data() + text.size();
	const auto parsed = std::from_chars(text.data(), end, value);
	if (parsed.ec != std::errc() || parsed.ptr != end)
		throw misfit();
	return value;
}

} // namespace

StoreError misfit()
{
	return StoreError("42804", "the extension answered in another form than expected");
}

Parameters &Parameters::append(std::string_view text)
{
	list_.emplace_back(common::Secret(text));
	return *this;
}

Parameters &Parameters::add(const common::Digest &bytes)
{
	const std::string_view view(reinterpret_cast<const char *>(bytes.data()), bytes.size());
	return add("\\x" + common::hex(view));
}

Parameters &Parameters::add(const oauth::Identity &identity)
{
	return add(identity.workspace_id)
		.add(identity.provider)
		.add(identity.actor_type)
		.add(identity.actor_id);
}

Parameters &Parameters::add(const std::vector<std::string> &texts)
{
	std::string array = "{";
	for (const std::string &text : texts) {
		array += array.size() > 1 ? ",\"" : "\"";
		for (const char c : text) {
			if (c == '"' || c == '\\')
				array += '\\';
			array += c;
		}
		array += '"';
	}
	return append(array += '}');
}

Parameters &Parameters::add(const std::vector<std::int64_t> &numbers)
{
	std::string array = "{";
	for (const std::int64_t number : numbers)
		array.append(array.size() > 1 ? "," : "").append(std::to_string(number));
	return append(array += '}');
}

Parameters &Parameters::add_null()
{
	list_.emplace_back(std::nullopt);
	return *this;
}

std::optional<std::string> Columns::optional_text()
{
	return rows_.optional_text(row_, column_++);
}

std::optional<double> Columns::optional_number()
{
	if (rows_.is_null(row_, column_)) {
		column_++;
		return std::nullopt;
	}
	const auto value = parse<double>(next());
	return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> Columns::optional_time()
{
	if (rows_.is_null(row_, column_)) {
		column_++;
		return std::nullopt;
	}
	const auto value = parse<double>(next());
	if (std::isnan(value) || value == std::numeric_limits<double>::infinity())
		return std::nullopt;
	return std::max(value, kYear1);
}

std::int64_t Columns::integer()
{
	return parse<std::int64_t>(next());
}

oauth::Identity Columns::identity()
{
	oauth::Identity identity;
	identity.workspace_id = text();
	identity.provider = text();
	identity.actor_type = text();
	identity.actor_id = text();
	return identity;
}

common::Digest Columns::digest()
{
	const std::string_view text = next();
	common::Digest bytes{};
	if (text.size() != 2 + 2 * bytes.size() || !text.starts_with("\\x"))
		throw misfit();
	for (std::size_t i = 0; i < bytes.size(); i++) {
		const char *digits = text.data() + 2 + 2 * i;
		const auto parsed = std::from_chars(digits, digits + 2, bytes[i], 16);
		if (parsed.ec != std::errc() || parsed.ptr != digits + 2)
			throw misfit();
	}
	return bytes;
}

} // namespace sidecar::database
