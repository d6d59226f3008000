#include "refresh/rules.hpp"

#include <algorithm>

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "refresh/member_row.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

using Rotation = RefreshRules::Rotation;

struct Word {
	std::string_view text;
	Rotation rotation;
};
constexpr Word kWords[] = {{"none", Rotation::none},
						   {"strict", Rotation::strict},
						   {"until_used", Rotation::until_used},
						   {"auto", Rotation::learnt}};
constexpr std::string_view kGrace = "grace:";
constexpr int kMaxGraceDigits = 9;

// Few providers tell what they allow; none is known to mind so many.
constexpr float8 kPerSecond = 5;
constexpr float8 kFewestPerSecond = 0.001;
constexpr float8 kMostPerSecond = 10000;

bool read_rotation(std::string_view text, RefreshRules *rules)
{
	for (const Word &word : kWords)
		if (word.text == text) {
			*rules = {word.rotation, 0};
			return true;
		}
	if (!text.starts_with(kGrace))
		return false;
	text.remove_prefix(kGrace.size());
	if (text.empty() || text.size() > kMaxGraceDigits)
		return false;
	*rules = {Rotation::grace, 0};
	for (const char digit : text) {
		if (digit < '0' || digit > '9')
			return false;
		rules->grace = rules->grace * 10 + (digit - '0');
	}
	rules->grace *= USECS_PER_SEC;
	return true;
}

[[noreturn]] void raise_bad_rules(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("rules are not as expected"),
			 errdetail_internal("%s.", detail),
			 errhint("Pass an object of objects with rotation (a string), refresh_kills_access (a "
					 "boolean), refresh_ahead, keep_alive (seconds) and refreshes_per_second (a "
					 "number).")));
	pg_unreachable();
}

JsonbValue *member(JsonbContainer *object, const char *name, jbvType type)
{
	JsonbValue *value =
		getKeyJsonValueFromContainer(object, name, static_cast<int>(strlen(name)), nullptr);
	if (value != nullptr && value->type == jbvNull)
		return nullptr;
	if (value != nullptr && value->type != type)
		raise_bad_rules(psprintf("Member %s is of the wrong type", name));
	return value;
}

float8 number_member(JsonbContainer *object, const char *name, float8 missing, float8 least,
					 float8 most)
{
	const JsonbValue *value = member(object, name, jbvNumeric);
	if (value == nullptr)
		return missing;
	const float8 number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number >= least && number <= most))
		raise_bad_rules(psprintf("Member %s is out of range", name));
	return number;
}

Datum seconds_member(JsonbContainer *object, const char *name)
{
	auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
	interval->time =
		static_cast<TimeOffset>(number_member(object, name, 0, 0, PG_INT32_MAX)) * USECS_PER_SEC;
	return IntervalPGetDatum(interval);
}

// Writes only what changed. The keys of an object are in an order of their own, so that
// two daemons which start at once wait for each other and do not deadlock.
void store_rules(const JsonbValue &name, JsonbContainer *object)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_rules AS r (provider, rotation, kills_access,"
		" ahead, keep_alive, per_second) VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (provider) DO UPDATE"
		" SET rotation = $2, kills_access = $3, ahead = $4, keep_alive = $5, per_second = $6"
		" WHERE NOT (r.rotation OPERATOR(pg_catalog.=) $2 AND r.kills_access"
		" OPERATOR(pg_catalog.=) $3 AND r.ahead OPERATOR(pg_catalog.=) $4"
		" AND r.keep_alive OPERATOR(pg_catalog.=) $5"
		" AND r.per_second OPERATOR(pg_catalog.=) $6)"};
	RefreshRules rules;
	std::string_view rotation = "strict";
	if (const JsonbValue *value = member(object, "rotation", jbvString))
		rotation = {value->val.string.val, static_cast<std::size_t>(value->val.string.len)};
	if (!read_rotation(rotation, &rules))
		raise_bad_rules("Member rotation is not none, strict, until_used, auto, or grace: and "
						"seconds");
	const JsonbValue *kills = member(object, "refresh_kills_access", jbvBool);
	run_as_owner(
		statement,
		{as::text(cstring_to_text_with_len(name.val.string.val, name.val.string.len)),
		 as::text(cstring_to_text_with_len(rotation.data(), static_cast<int>(rotation.size()))),
		 as::boolean(kills != nullptr && kills->val.boolean),
		 {INTERVALOID, seconds_member(object, "refresh_ahead")},
		 {INTERVALOID, seconds_member(object, "keep_alive")},
		 as::float8(number_member(object, "refreshes_per_second", kPerSecond, kFewestPerSecond,
								  kMostPerSecond))});
}

void delete_other_rules(const Jsonb *rules)
{
	static MemberQuery statement = {"DELETE FROM oauth_tokens_internal.refresh_rules"
									" WHERE NOT pg_catalog.jsonb_exists($1, provider)"};
	run_as_owner(statement, {{JSONBOID, JsonbPGetDatum(rules)}});
}

} // namespace

const Interval *refresh_ahead(Datum provider)
{
	const std::string_view name = view_of(DatumGetTextPP(provider));
	const Datum base = PointerGetDatum(cstring_to_text_with_len(
		name.data(), static_cast<int>(std::min(name.find('.'), name.size()))));
	const Interval *ahead = nullptr;
	const auto copy = [](Oid table, TupleTableSlot *row, void *state) {
		bool is_null;
		const Datum value = slot_getattr(row, get_attnum(table, "ahead"), &is_null);
		auto *copied = static_cast<Interval *>(palloc(sizeof(Interval)));
		*copied = *DatumGetIntervalP(value);
		*static_cast<const Interval **>(state) = copied;
	};
	find_member_row({"refresh_rules", F_TEXTEQ, base}, GetActiveSnapshot(), copy, &ahead);
	return ahead;
}

RefreshRules refresh_rules(Datum provider)
{
	static MemberQuery statement = {
		"SELECT rotation FROM oauth_tokens_internal.refresh_rules"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"};
	RefreshRules rules = {Rotation::strict, 0};
	if (run_as_owner(statement, {{TEXTOID, provider}}) > 0)
		read_rotation(view_of(DatumGetTextPP(returned(1))), &rules);
	return rules;
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_publish_refresh_rules)
{
	PreventCommandIfReadOnly("publish_refresh_rules()");
	refuse_null_argument(fcinfo, 0, "rules");
	Jsonb *rules = PG_GETARG_JSONB_P(0);
	if (!JB_ROOT_IS_OBJECT(rules))
		raise_bad_rules("The value is not an object");
	SPI_connect();
	delete_other_rules(rules);
	JsonbIterator *iterator = JsonbIteratorInit(&rules->root);
	JsonbValue name;
	JsonbValue value;
	JsonbIteratorNext(&iterator, &name, true); // the object's begin
	while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY) {
		JsonbIteratorNext(&iterator, &value, true);
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			raise_bad_rules("The value of a provider is not an object");
		store_rules(name, value.val.binary.data);
	}
	SPI_finish();
	PG_RETURN_VOID();
}
