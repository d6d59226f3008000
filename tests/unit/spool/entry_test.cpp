#include "spool_fixture.hpp"

#include "common/fernet.hpp"
#include "spool/file_name.hpp"

using namespace sidecar;
using namespace sidecar::spool;

namespace
{

std::string fault_of_text(std::string_view text)
{
	const auto read = read_entry(text);
	const auto *fault = std::get_if<std::string>(&read);
	return fault ? *fault : "";
}

constexpr const char *kKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

std::string open(const std::string &token)
{
	const auto key = common::fernet::Key::parse(kKey);
	common::fernet::Cipher cipher(*key);
	std::string buffer(common::fernet::decoded_capacity(token.size()), '\0');
	auto envelope = common::fernet::Envelope::decode(
		token, {reinterpret_cast<unsigned char *>(buffer.data()), buffer.size()});
	if (!envelope || !cipher.verify(*envelope))
		return "does not open";
	const auto plaintext = cipher.decrypt(*envelope);
	return plaintext ? std::string(plaintext->data(), plaintext->size()) : "does not open";
}

} // namespace

TEST(SpoolEntry, IsOneLineOfTheDocumentedForm)
{
	EXPECT_EQ(write_entry(entry_of(42)),
			  "{\"version\":1,\"cluster\":\"7300000000000000001/16384\","
			  "\"workspace_id\":\"6f0b2c1e-0000-4000-8000-000000000001\","
			  "\"provider\":\"google.work\",\"actor_type\":\"user\",\"actor_id\":\"7\","
			  "\"fence\":\"42\",\"sealed\":\"gAAAAsealed\"}\n");
}

TEST(SpoolEntry, IsReadAsItWasWritten)
{
	for (const std::string text : {"7", "a\"b\\c", "two\nlines\t", "Zo\xc3\xab \xf0\x9f\x94\x91",
								   " ", "{\"fence\":\"1\"}", "\x01\x7f"}) {
		Entry entry = entry_of(9223372036854775807, std::string(300'000, 'x'));
		entry.identity.actor_id = entry.identity.actor_type = text;
		const std::string line = write_entry(entry);
		EXPECT_EQ(line.find('\n'), line.size() - 1);
		const auto read = read_entry(line);
		ASSERT_TRUE(std::holds_alternative<Entry>(read)) << std::get<std::string>(read);
		const Entry &same = std::get<Entry>(read);
		EXPECT_EQ(same.cluster, entry.cluster);
		EXPECT_EQ(same.identity.workspace_id, entry.identity.workspace_id);
		EXPECT_EQ(same.identity.provider, entry.identity.provider);
		EXPECT_EQ(same.identity.actor_type, text);
		EXPECT_EQ(same.identity.actor_id, text);
		EXPECT_EQ(same.fence, entry.fence);
		EXPECT_EQ(same.sealed, entry.sealed);
	}
}

TEST(SpoolEntry, EachFaultIsNamed)
{
	const std::string good = write_entry(entry_of(42));
	for (std::size_t size = 0; size < good.size(); ++size)
		EXPECT_TRUE(contains(fault_of_text(good.substr(0, size)), "ends in the middle")) << size;
	const auto with = [&good](std::string_view part, std::string_view other) {
		std::string text = good;
		return text.replace(text.find(part), part.size(), other);
	};
	const struct {
		std::string text;
		const char *fault;
	} cases[] = {
		{"\n", "not one line of JSON"},
		{"[]\n", "not one line of JSON"},
		{good + good, "not one line of JSON"},
		{std::string(4096, '\0') + "\n", "not one line of JSON"},
		{with("google", "\xff"), "not one line of JSON"},
		{with("\"fence\"", "\"cluster\""), "not one line of JSON"}, // twice
		{with("{\"version\":1", "{\"a\":[[[[]]]],\"version\":1"), "not one line of JSON"},
		{with("\"version\":1", "\"version\":2"), "version 1"},
		{with("\"version\":1", "\"version\":\"1\""), "version 1"},
		{with("\"version\"", "\"Version\""), "version 1"},
		{with("\"cluster\"", "\"c\""), "\"cluster\" is missing"},
		{with("\"workspace_id\"", "\"c\""), "\"workspace_id\" is missing"},
		{with("\"google.work\"", "7"), "\"provider\" is missing"},
		{with("\"user\"", "null"), "\"actor_type\" is missing"},
		{with("\"7\"", "\"\""), "\"actor_id\" is missing"},
		{with("\"gAAAAsealed\"", "{}"), "\"sealed\" is missing"},
		{with("\"42\"", "42"), "\"fence\" is missing"},
		{with("\"42\"", "\"042\""), "above 0"},
		{with("\"42\"", "\"0\""), "above 0"},
		{with("\"42\"", "\"-1\""), "above 0"},
		{with("\"42\"", "\"4 2\""), "above 0"},
		{with("\"42\"", "\"9223372036854775808\""), "above 0"},
	};
	for (const auto &test : cases)
		EXPECT_TRUE(contains(fault_of_text(test.text), test.fault)) << test.text;
	EXPECT_EQ(fault_of_text(with("{\"version\":1", "{\"later\":null,\"version\":1")), "");
}

TEST(SpoolSeal, WhatOpensIsTheAnswer)
{
	Seal seal{common::Secret(kKey)};
	EXPECT_EQ(
		open(seal.close({"at\"1", "rt-1", 1795772400, "a b", "{\"n\":12345678901234567890}"})),
		"{\"access_token\":\"at\\\"1\",\"refresh_token\":\"rt-1\",\"expires_at\":1795772400,"
		"\"scopes\":\"a b\",\"details\":{\"n\":12345678901234567890}}");
	EXPECT_EQ(open(seal.close({"at-2", {}, {}, {}, {}})), "{\"access_token\":\"at-2\"}");
	const std::string large(64 * 1024, 'a');
	EXPECT_EQ(open(seal.close({large, large, {}, {}, {}})),
			  "{\"access_token\":\"" + large + "\",\"refresh_token\":\"" + large + "\"}");
}

TEST(SpoolSeal, ABadKeyIsRefusedAndNotTold)
{
	for (const char *key : {"", "hunter2", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4"})
		try {
			Seal seal{common::Secret(key)};
			FAIL() << key;
		} catch (const std::invalid_argument &error) {
			EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos);
		}
}

TEST(SpoolFileName, OneNameForEach)
{
	EXPECT_EQ((FileName{42}.answer()), "42.spool");
	EXPECT_EQ((FileName{42, 3}.answer()), "42.3.spool");
	EXPECT_EQ((FileName{42}.reservation()), ".42.tmp");
	for (const FileName name : {FileName{1}, FileName{9223372036854775807, 1000}, FileName{7, 2}}) {
		EXPECT_EQ(parse_answer_name(name.answer()), name);
		EXPECT_EQ(parse_reservation_name(name.reservation()), name);
	}
	for (const char *name : {"", "spool", ".spool", "0.spool", "-1.spool", "007.spool", "7.1.spool",
							 "7.0.spool", "7..spool", "7.2.3.spool", "x.spool", "7.spool.aside",
							 "9223372036854775808.spool", " 7.spool", "7.SPOOL", ".7.tmp"})
		EXPECT_FALSE(parse_answer_name(name)) << name;
	for (const char *name : {"", ".", ".tmp", "..tmp", "7.tmp", ".0.tmp", ".7.1.tmp", ".7.spool"})
		EXPECT_FALSE(parse_reservation_name(name)) << name;
	EXPECT_TRUE(is_aside("x.spool.aside") && is_aside("7.spool.aside.12"));
	EXPECT_FALSE(is_aside("7.spool.aside.x") || is_aside("7.spool") || is_aside("aside"));
}
