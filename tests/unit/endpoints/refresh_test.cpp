// A token that lives too short: who is asked, what is kept, and what the caller gets.

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "endpoint_fixture.hpp"

namespace sidecar::endpoints
{

namespace
{

using Begun = database::BegunRefresh::Outcome;

const std::string kToken =
	"/oauth/plain/token?actor_id=alice&workspace_id=" + std::string(kWorkspace);

boost::json::object json(const http::Response &response)
{
	return boost::json::parse(response.body).as_object();
}

std::string text(const http::Response &response, const char *name)
{
	return std::string(json(response).at(name).as_string());
}

// A site whose store has a token with so many seconds to live, once.
struct RefreshSite : EndpointFixture {
	explicit RefreshSite(double left)
	{
		database::StoredToken token;
		token.access_token = common::Secret("the-old-token");
		token.has_refresh_token = true;
		token.now = 1000;
		token.expires_at = 1000 + left;
		store.known_token = std::move(token);
	}
	bool is_spool_empty() const { return std::filesystem::is_empty(place.path); }
};

} // namespace

TEST(RefreshOnRead, StoresWhatTheProviderAnswers)
{
	RefreshSite site(-1);
	site.client.body = R"({"access_token":"new","refresh_token":"next","expires_in":60})";
	site.ask("GET", kToken, true);
	ASSERT_EQ(site.refreshes.begun.size(), 1U);
	EXPECT_EQ(site.refreshes.begun[0].min_ttl.count(), 60);
	EXPECT_FALSE(site.refreshes.begun[0].force);
	EXPECT_EQ(site.client.calls, 1);
	EXPECT_EQ(site.refreshes.access_token, "new");
	EXPECT_EQ(site.refreshes.refresh_token, "next");
	EXPECT_EQ(site.cache.evicted, 1);
	EXPECT_TRUE(site.is_spool_empty());
}

TEST(RefreshOnRead, AsksNobodyWhereTheLeaseIsNearlyOver)
{
	RefreshSite site(-1);
	site.refreshes.lease = 14; // the provider may take 15 s
	site.ask("GET", kToken, true);
	EXPECT_EQ(site.client.calls, 0);
	EXPECT_EQ(site.refreshes.failures,
			  std::vector<std::string>{"not_sent: the lease is nearly over"});
}

// The provider's time, half a minute, and some seconds.
TEST(RefreshOnRead, AsksForALeaseThatOutlastsTheCall)
{
	RefreshSite site(-1);
	site.ask("GET", kToken, true);
	EXPECT_GT(site.refreshes.asked_lease, std::chrono::seconds(15 + 30));
	EXPECT_LT(site.refreshes.asked_lease, std::chrono::seconds(15 + 40));
}

TEST(RefreshOnRead, CommitsAgainWhereAnotherTransactionWasInTheWay)
{
	for (const char *state : {"40001", "40P01"}) {
		RefreshSite site(-1);
		site.client.body = R"({"access_token":"new"})";
		site.refreshes.commit_error.emplace(state, "could not serialize access");
		site.refreshes.failing_commits = 2;
		site.ask("GET", kToken, true);
		EXPECT_EQ(site.refreshes.commits, 3);
		EXPECT_EQ(site.refreshes.access_token, "new");
		EXPECT_TRUE(site.is_spool_empty());
	}
}

TEST(RefreshOnRead, LeavesItToTheReplayerWhereOneIsInTheWayForEver)
{
	RefreshSite site(-1);
	site.client.body = R"({"access_token":"new"})";
	site.refreshes.commit_error.emplace("40001", "could not serialize access");
	site.ask("GET", kToken, true);
	EXPECT_LE(site.refreshes.commits, 10);
	EXPECT_FALSE(site.is_spool_empty());
}

TEST(RefreshOnRead, KeepsAnAnswerThatTheDatabaseDoesNotTake)
{
	RefreshSite site(-1);
	site.refreshes.commit_error.emplace("", "no answer");
	site.ask("GET", kToken, true);
	EXPECT_EQ(site.client.calls, 1);
	EXPECT_TRUE(std::filesystem::exists(site.place.path + "/1.spool"));
	EXPECT_TRUE(site.refreshes.failures.empty());
}

TEST(RefreshOnRead, HandsASupersededAnswerInAgain)
{
	RefreshSite site(-1);
	site.refreshes.committed = database::RefreshEnd::superseded;
	site.ask("GET", kToken, true);
	EXPECT_EQ(site.refreshes.replays, 1);
	EXPECT_TRUE(site.is_spool_empty());
}

TEST(RefreshOnRead, AsksAgainOnceWhereNobodyKnows)
{
	RefreshSite site(-1);
	site.client.body = "no JSON";
	site.ask("GET", kToken, true);
	EXPECT_EQ(site.client.calls, 2); // the database grants it, as for a provider with a grace
	EXPECT_EQ(site.refreshes.failures.size(), 2U);
}

TEST(RefreshOnRead, CallsNobodyWithoutASpool)
{
	RefreshSite site(-1);
	std::filesystem::remove_all(site.place.path);
	site.ask("GET", kToken, true);
	EXPECT_TRUE(site.refreshes.begun.empty());
	EXPECT_EQ(site.client.calls, 0);
}

TEST(RefreshOnRead, MeansTheTokenThatIsThereByForce)
{
	RefreshSite site(3600);
	site.ask("GET", kToken + "&force=true", true);
	ASSERT_EQ(site.refreshes.begun.size(), 1U);
	EXPECT_TRUE(site.refreshes.begun[0].force);
	EXPECT_EQ(site.refreshes.begun[0].if_token_sha256, common::sha256("the-old-token"));
	RefreshSite other(3600);
	other.ask("GET", kToken + "&force=true&if_token_sha256=" + std::string(64, 'A'), true);
	common::Digest digest;
	digest.fill(0xaa);
	EXPECT_EQ(other.refreshes.begun[0].if_token_sha256, digest);
}

TEST(RefreshOnRead, LeavesATokenAloneThatLivesLongEnough)
{
	RefreshSite site(61);
	EXPECT_EQ(text(site.ask("GET", kToken, true), "access_token"), "the-old-token");
	EXPECT_TRUE(site.refreshes.begun.empty());
}

} // namespace sidecar::endpoints
