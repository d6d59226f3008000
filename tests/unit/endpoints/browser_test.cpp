// authorize, callback and done, as a browser sees them.

#include <gtest/gtest.h>

#include "endpoint_fixture.hpp"
#include "endpoints/pages.hpp"
#include "http/cookies.hpp"

namespace sidecar::endpoints
{

namespace
{

const std::string kAuthorize = "/oauth/plain/authorize?ticket=" + kTicket;
const std::string kCallback = "/oauth/plain/callback?code=the-code&state=" + kState;

std::string cookie()
{
	return "__Host-oauth-" + http::cookie_tag(kState) + "=1763803950000." + kBrowser;
}

} // namespace

TEST(Router, KnowsNoOtherPaths)
{
	EndpointFixture site;
	for (const char *path :
		 {"/", "/oauth/", "/oauth/plain", "/oauth/plain/", "/oauth/plain//healthz",
		  "/oauth/plain/token/", "/oauth//healthz", "/token", "/healthz/"})
		EXPECT_EQ(site.ask("GET", path, true).status, 404) << path;
	const http::Response response = site.ask("POST", "/oauth/plain/token", true);
	EXPECT_EQ(response.status, 405);
	EXPECT_EQ(header(response, "Allow"), "GET, DELETE");
	EXPECT_EQ(response.endpoint, "token");
	EXPECT_EQ(site.ask("GE", "/healthz").status, 405);
}

TEST(Authorize, SendsTheBrowserToTheProviderWithACookie)
{
	EndpointFixture site;
	const http::Response response = site.ask("GET", kAuthorize);
	EXPECT_EQ(response.status, 303);
	EXPECT_EQ(response.endpoint, "authorize");
	EXPECT_TRUE(
		header(response, "Location").starts_with("https://provider.example.com/authorize?"));
	EXPECT_NE(
		header(response, "Location")
			.find("redirect_uri=https%3A%2F%2Fconnect.example.com%2Foauth%2Fplain%2Fcallback"),
		std::string::npos);
	const std::string set = header(response, "Set-Cookie");
	EXPECT_TRUE(set.starts_with("__Host-oauth-" + http::cookie_tag(kState) + "="));
	for (const char *attribute : {"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"})
		EXPECT_NE(set.find(attribute), std::string::npos) << attribute;
}

// F16: whoever looks at a link before its person does changes nothing.
TEST(Authorize, OpensNothingForScannersAndPrefetchers)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("HEAD", kAuthorize).status, 200);
	http::Request prefetch;
	prefetch.method = "GET";
	prefetch.path = "/oauth/plain/authorize";
	prefetch.query = "ticket=" + kTicket;
	prefetch.is_prefetch = true;
	EXPECT_EQ(site.run(std::move(prefetch)).status, 503);
	EXPECT_EQ(site.store.attempts, 0);
}

TEST(Authorize, SaysWhatIsWrong)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("GET", "/oauth/plain/authorize").status, 400);
	EXPECT_EQ(site.ask("GET", "/oauth/plain/authorize?ticket=short").status, 400);
	EXPECT_EQ(site.ask("GET", kAuthorize + "&ticket=" + kTicket).status, 400);
	EXPECT_EQ(site.ask("GET", "/oauth/other/authorize?ticket=" + kTicket).status, 404);
	EXPECT_EQ(site.ask("GET", "/oauth/..%2f/authorize?ticket=" + kTicket).status, 404);
	const http::Response post = site.ask("POST", kAuthorize);
	EXPECT_EQ(post.status, 405);
	EXPECT_EQ(header(post, "Allow"), "GET, HEAD");
	site.store.error.emplace("", "no answer");
	EXPECT_EQ(site.ask("GET", kAuthorize).status, 503);
	site.store.error.reset();
	site.store.has_link = false;
	EXPECT_EQ(site.ask("GET", kAuthorize).status, 410);
	EXPECT_EQ(site.store.attempts, 0);
}

TEST(Callback, StoresTheGrantAndClearsTheCookie)
{
	EndpointFixture site;
	site.store.return_to = "https://app.example.com/settings?tab=mail";
	const http::Response response = site.ask("GET", kCallback, false, cookie());
	EXPECT_EQ(response.status, 303);
	EXPECT_EQ(header(response, "Location"),
			  "https://app.example.com/settings?tab=mail&oauth=connected&oauth_provider=plain");
	EXPECT_EQ(site.store.stored_access_token, "the-access-token");
	EXPECT_NE(header(response, "Set-Cookie").find("Max-Age=0"), std::string::npos);
}

TEST(Callback, HandsOutACodeWhereTheLinkWantsConfirmation)
{
	EndpointFixture site;
	site.store.confirm = true;
	site.store.return_to = "https://app.example.com/";
	const http::Response response = site.ask("GET", kCallback, false, cookie());
	EXPECT_NE(header(response, "Location").find("oauth_flow=one-time-code"), std::string::npos);
}

// F1, F12: without the browser's secret nothing is consumed.
TEST(Callback, AsksTheDatabaseNothingWithoutACookie)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("GET", kCallback).status, 400);
	EXPECT_EQ(site.ask("GET", kCallback, false, "__Host-oauth-00000000=1." + kBrowser).status, 400);
	EXPECT_EQ(site.ask("POST", kCallback, false, cookie()).status, 405);
	EXPECT_EQ(site.ask("HEAD", kCallback, false, cookie()).status, 405);
	EXPECT_EQ(site.store.claims, 0);
	EXPECT_EQ(site.client.calls, 0);
}

TEST(Callback, CallsNoProviderForAnAttemptThatIsNotThere)
{
	EndpointFixture site;
	site.store.has_attempt = false;
	const http::Response response = site.ask("GET", kCallback, false, cookie());
	EXPECT_EQ(response.status, 400);
	EXPECT_TRUE(header(response, "Location").empty());
	EXPECT_EQ(site.client.calls, 0);
}

// A step that fails causes nothing of what comes after it.
TEST(Callback, EndsAtTheStepThatFails)
{
	EndpointFixture impostor;
	impostor.settings.providers.at("plain").require_iss = true;
	impostor.ask("GET", kCallback + "&iss=https://evil.example", false, cookie());
	EXPECT_EQ(impostor.store.claims, 1);
	EXPECT_EQ(impostor.client.calls, 0);
	EndpointFixture declined;
	declined.ask("GET", "/oauth/plain/callback?error=access_denied&state=" + kState, false,
				 cookie());
	EXPECT_EQ(declined.store.claims, 1);
	EXPECT_EQ(declined.client.calls, 0);
	EndpointFixture refused;
	refused.client.status = 400;
	refused.ask("GET", kCallback, false, cookie());
	EXPECT_EQ(refused.client.calls, 1);
	EXPECT_EQ(refused.store.stores, 0);
}

TEST(Callback, ConsumesNothingWhereNoCallOfTheProviderMayStart)
{
	EndpointFixture site;
	std::vector<CallbackLimiter::Slot> others;
	for (int i = 0; i < kMaxCallbacksOfProvider; i++)
		others.push_back(site.callback_limiter.enter("plain"));
	EXPECT_TRUE(site.callback_limiter.enter("another"));
	const http::Response response = site.ask("GET", kCallback, false, cookie());
	EXPECT_EQ(response.status, 503);
	EXPECT_FALSE(header(response, "Retry-After").empty());
	EXPECT_EQ(site.store.claims, 0);
	others.pop_back();
	EXPECT_EQ(site.ask("GET", kCallback, false, cookie()).status, 303);
}

// Whoever reloads the page a moment later has to have the cookie still.
TEST(Callback, KeepsTheCookieWhileNothingIsDecided)
{
	EndpointFixture site;
	site.store.error.emplace("", "no answer");
	const http::Response response = site.ask("GET", kCallback, false, cookie());
	EXPECT_EQ(response.status, 503);
	EXPECT_TRUE(header(response, "Set-Cookie").empty());
	site.store.error.reset();
	EXPECT_EQ(site.ask("GET", kCallback, false, cookie()).status, 303);
}

TEST(Callback, TellsTheBrowserOfEveryFailure)
{
	struct Case {
		const char *query;
		int status;
		const char *body;
		const char *error;
	} const cases[] = {
		{"error=access_denied&state=", 200, "", "access_denied"},
		{"error=invalid_scope&state=", 200, "", "provider_error"},
		{"code=c&state=", 503, "", "unavailable"},
		{"code=c&state=", 400, R"({"error":"invalid_grant"})", "provider_error"},
		{"code=c&state=", 200, R"({"access_token":"a","token_type":"mac"})", "provider_error"},
	};
	for (const Case &c : cases) {
		EndpointFixture site;
		site.client.status = c.status;
		site.client.body = c.body;
		const http::Response response = site.ask(
			"GET", "/oauth/plain/callback?" + std::string(c.query) + kState, false, cookie());
		EXPECT_EQ(response.status, 303);
		EXPECT_EQ(
			header(response, "Location"),
			std::string("https://connect.example.com/oauth/plain/done?oauth=failed&oauth_error=") +
				c.error + "&oauth_provider=plain");
		EXPECT_EQ(site.store.stores, 0);
	}
}

TEST(Done, ChoosesAmongFixedPages)
{
	EndpointFixture site;
	const auto body = [&](std::string_view query) {
		return site.ask("GET", "/oauth/plain/done?" + std::string(query)).body;
	};
	EXPECT_EQ(body("oauth=connected"), page(Page::connected).body);
	EXPECT_EQ(body("oauth=failed&oauth_error=access_denied"), page(Page::denied).body);
	EXPECT_EQ(body("oauth=failed&oauth_error=expired"), page(Page::expired).body);
	EXPECT_EQ(body("oauth=failed&oauth_error=<script>"), page(Page::failed).body);
	EXPECT_EQ(body("oauth=<script>"), page(Page::bad_request).body);
	EXPECT_EQ(site.ask("GET", "/oauth/other/done?oauth=connected").status, 404);
}

// F7: each answer, whatever it is.
TEST(Router, HardensEveryAnswer)
{
	EndpointFixture site;
	for (const char *target : {"/healthz", "/nothing", "/oauth/plain/done?oauth=connected",
							   "/oauth/plain/status", "/oauth/plain/authorize"}) {
		const http::Response response = site.ask("GET", target);
		EXPECT_EQ(header(response, "Cache-Control"), "no-store") << target;
		EXPECT_EQ(header(response, "X-Content-Type-Options"), "nosniff") << target;
		EXPECT_EQ(header(response, "Referrer-Policy"), "no-referrer") << target;
		EXPECT_NE(header(response, "Content-Security-Policy").find("default-src 'none'"),
				  std::string::npos)
			<< target;
	}
}

TEST(Router, KeepsTheApiOffTheBrowsersListenerAndTheReverse)
{
	EndpointFixture site;
	site.audience = http::Audience::browser;
	for (const char *target : {"/metrics", "/oauth/plain/status", "/oauth/plain/token"})
		EXPECT_EQ(site.ask("GET", target, true).status, 404) << target;
	EXPECT_EQ(
		site.ask("GET", "/oauth/plain/authorize?workspace_id=" + std::string(kWorkspace), true)
			.status,
		400);
	EXPECT_EQ(site.ask("GET", "/healthz").status, 200);
	site.audience = http::Audience::api;
	EXPECT_EQ(site.ask("GET", kAuthorize).status, 401);
	EXPECT_EQ(site.ask("GET", kCallback, false, cookie()).status, 404);
	EXPECT_EQ(site.ask("GET", "/oauth/plain/done?oauth=connected").status, 404);
	EXPECT_EQ(site.ask("GET", "/metrics").status, 200);
}

// A proxy may pass the prefix of the public URL on, or take it off.
TEST(Router, TakesThePublicUrlsPrefixOrNone)
{
	EndpointFixture site;
	site.settings.public_url = "https://app.example.com/connect";
	EXPECT_EQ(site.ask("GET", "/connect/healthz").status, 200);
	EXPECT_EQ(site.ask("GET", "/healthz").status, 200);
	EXPECT_EQ(site.ask("GET", "/connecthealthz").status, 404);
}

} // namespace sidecar::endpoints
