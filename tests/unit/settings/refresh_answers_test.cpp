// What providers answer to a refresh, by their own documentation, read through the
// blocks of the sample file: tests/providers/refresh_answers.json.
#include "oauth/refresh_failure.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "../oauth/samples.hpp"
#include "sample.hpp"

using namespace sidecar::oauth;
namespace json = boost::json;

namespace
{

constexpr std::string_view kToken = "1//0gK8xQm2vTz-LpW4yRb7Ns";

std::string text_of(const json::object &object, std::string_view name)
{
	const json::value *found = object.if_contains(name);
	return found == nullptr || found->is_null() ? std::string() : std::string(found->as_string());
}

class DocumentedRefresh : public testing::Test
{
protected:
	static void SetUpTestSuite()
	{
		const Sample sample = read_sample();
		loaded_.emplace(load_toml(sample.blocks, sample.variables));
		// Of the sample's variables' names, words of the answers would be hidden.
		for (auto &[name, provider] : loaded_->settings.providers)
			provider.client_secret = common::Secret("GOCSPX-5f2Kq1ZpX9");
		std::string text;
		for (const std::string &line : read_lines("tests/providers/refresh_answers.json"))
			text += line;
		table_ = json::parse(text);
	}

	// The block of the sample, or else one without quirks.
	static Provider &provider_of(const json::object &row, Provider &plain)
	{
		plain = samples::provider();
		for (const auto &[match, kind] :
			 row.contains("failures") ? row.at("failures").as_object() : json::object())
			plain.failures.push_back({match, *failure_kind_of(kind.as_string())});
		const std::string name = text_of(row, "provider");
		return name.empty() ? plain : loaded_->settings.providers.at(name);
	}

	static StoredGrant stored_of(const json::object &row, const Provider &provider)
	{
		if (!row.contains("stored"))
			return read_stored_grant("one two", "{}");
		const json::object &stored = row.at("stored").as_object();
		const std::string scopes = text_of(stored, "scopes");
		return read_stored_grant(scopes.empty() ? std::nullopt
												: std::optional<std::string_view>(scopes),
								 with_client(json::serialize(stored.at("details")), provider));
	}

	static std::string with_client(std::string text, const Provider &provider)
	{
		const std::size_t at = text.find("@client@");
		return at == text.npos ? text : text.replace(at, 8, provider.client_id);
	}

	static ProviderAnswer answer_of(const json::object &row, const Provider &provider)
	{
		const json::value &said = row.at("answer");
		const bool is_text = said.is_string();
		std::string body = is_text ? std::string(said.as_string()) : json::serialize(said);
		if (row.contains("claims")) {
			json::object claims = row.at("claims").as_object();
			claims["aud"] = provider.client_id;
			claims["iat"] = samples::kNow;
			claims["exp"] = samples::kNow + 3600;
			const std::string token =
				samples::id_token(with_client(json::serialize(claims), provider));
			body = samples::replaced(body, "\"ID\"", '"' + token + '"');
		}
		const auto status = row.contains("status") ? row.at("status").as_int64() : 200;
		ProviderAnswer answer = samples::answer(
			static_cast<int>(status), body,
			row.contains("content_type")             ? text_of(row, "content_type")
			: is_text && body.find('=') != body.npos ? "application/x-www-form-urlencoded"
													 : "application/json");
		answer.was_sent = true;
		answer.retry_after = text_of(row, "retry_after");
		return answer;
	}

	static inline std::optional<Loaded> loaded_;
	static inline json::value table_;
};

std::optional<int> number_of(const json::object &row, std::string_view name)
{
	return row.contains(name) ? std::optional(static_cast<int>(row.at(name).as_int64()))
							  : std::nullopt;
}

} // namespace

TEST_F(DocumentedRefresh, Answers)
{
	for (const json::value &each : table_.at("answers").as_array()) {
		const json::object &row = each.as_object();
		SCOPED_TRACE(json::serialize(row));
		Provider plain;
		const Provider &provider = provider_of(row, plain);
		const auto read = read_refresh_answer(provider, stored_of(row, provider),
											  answer_of(row, provider), samples::kNow);
		const auto *grant = std::get_if<Grant>(&read);
		ASSERT_NE(grant, nullptr) << std::get<NoGrant>(read).reason;
		EXPECT_EQ(grant->access_token.reveal(), text_of(row, "access"));
		EXPECT_EQ(grant->refresh_token.has_value(), row.contains("refresh"));
		EXPECT_EQ(grant->refresh_token ? grant->refresh_token->reveal() : "",
				  text_of(row, "refresh"));
		EXPECT_EQ(grant->scopes.has_value(), row.contains("scopes"));
		EXPECT_EQ(grant->scopes.value_or(""), text_of(row, "scopes"));
		EXPECT_EQ(grant->expires_in, number_of(row, "expires_in"));
		EXPECT_EQ(grant->refresh_expires_in, number_of(row, "refresh_expires_in"));
		EXPECT_TRUE(grant->warnings.empty()) << grant->warnings.front();
		if (row.contains("details")) {
			EXPECT_EQ(json::parse(grant->details), row.at("details"));
		}
	}
}

// T5
TEST_F(DocumentedRefresh, Errors)
{
	for (const json::value &each : table_.at("errors").as_array()) {
		const json::object &row = each.as_object();
		SCOPED_TRACE(json::serialize(row));
		Provider plain;
		const Provider &provider = provider_of(row, plain);
		const StoredGrant stored = stored_of(row, provider);
		const ProviderAnswer answer = answer_of(row, provider);
		const auto read = read_refresh_answer(provider, stored, answer, samples::kNow);
		ASSERT_TRUE(std::holds_alternative<NoGrant>(read));
		const RefreshFailure failure = refresh_failure({provider, stored, kToken, samples::kNow},
													   answer, std::get<NoGrant>(read));
		EXPECT_EQ(name_of(failure.kind), text_of(row, "kind"));
		if (row.contains("detail")) {
			EXPECT_EQ(failure.detail(), text_of(row, "detail"));
		}
		const auto seconds = number_of(row, "seconds");
		EXPECT_EQ(failure.retry_after,
				  seconds ? std::optional(std::chrono::seconds(*seconds)) : std::nullopt);
	}
}

TEST_F(DocumentedRefresh, EveryShippedBlockIsHere)
{
	for (const char *list : {"answers", "errors"})
		for (const auto &[name, provider] : loaded_->settings.providers) {
			bool is_here = false;
			for (const json::value &row : table_.at(list).as_array())
				is_here = is_here || text_of(row.as_object(), "provider") == name;
			EXPECT_TRUE(is_here) << name << " has no " << list;
		}
}
