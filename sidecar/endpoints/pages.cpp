#include "endpoints/pages.hpp"

#include <fmt/format.h>

#include "common/digest.hpp"

namespace sidecar::endpoints
{

namespace
{

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--paper:#f4f5f7;--card:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--good:#1a7f37;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--card:#161b22;--ink:#e6edf3;--soft:#9aa4af;--line:#30363d;--good:#3fb950;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);font:1.0625rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:26rem;padding:2.25rem 1.75rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;text-align:center}
.mark{width:3.25rem;height:3.25rem;margin:0 auto 1.25rem;border:2px solid;border-radius:50%;font-size:1.6rem;line-height:3rem}
.good{color:var(--good)}
.bad{color:var(--bad)}
h1{margin:0 0 .5rem;font-size:1.375rem;line-height:1.3}
p{margin:0;color:var(--soft)}
)";

struct Text {
	Page page;
	int status;
	std::string_view tone;
	std::string_view mark;
	std::string_view title;
	std::string_view message;
};

constexpr Text kTexts[] = {
	{Page::connected, 200, "good", "✓", "Account connected",
	 "You can close this page and go back to the application."},
	{Page::failed, 200, "bad", "!", "The account was not connected",
	 "Something went wrong between this site and the provider. Go back to the application and "
	 "try again."},
	{Page::denied, 200, "bad", "!", "The account was not connected",
	 "Access was declined at the provider, and nothing was stored. To connect it after all, go "
	 "back "
	 "to the application and start again."},
	{Page::expired, 200, "bad", "!", "This took too long",
	 "The link has expired or was used in the meantime. Go back to the application and start "
	 "again."},
	{Page::bad_request, 400, "bad", "!", "This page works only once",
	 "If you have just connected an account, all is done, and you can close this page. Otherwise "
	 "go back to the application and start again: the request is too old, or was not started in "
	 "this browser."},
	{Page::finished, 400, "good", "✓", "This is finished",
	 "The connection was completed before this page was loaded again. You can close it and go back "
	 "to the application."},
	{Page::under_way, 400, "good", "…", "This is being finished",
	 "This page was loaded before, and the connection is still being completed. Wait a moment, "
	 "then go "
	 "back to the application, or load this page again."},
	{Page::unknown, 404, "bad", "!", "There is nothing here",
	 "No application made this address. Go back to the application and start again."},
	{Page::link_gone, 410, "bad", "!", "This link no longer works",
	 "A link to connect an account works once and for a short time. Go back to the application and "
	 "ask for a new one."},
	{Page::unavailable, 503, "bad", "!", "This does not work right now",
	 "A service that is needed cannot be reached. Wait a moment, then reload this page or start "
	 "again in the application."},
};

std::string render(const Text &text)
{
	return fmt::format(
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"robots\" content=\"noindex\">\n<title>{}</title>\n<style>{}</style>\n"
		"</head>\n<body>\n<main>\n<div class=\"mark {}\" aria-hidden=\"true\">{}</div>\n"
		"<h1>{}</h1>\n<p>{}</p>\n</main>\n</body>\n</html>\n",
		text.title, kStyle, text.tone, text.mark, text.title, text.message);
}

} // namespace

http::Response page(Page which)
{
	for (const Text &text : kTexts)
		if (text.page == which) {
			http::Response response(text.status, "text/html; charset=utf-8", render(text));
			if (which == Page::unavailable)
				response.with("Retry-After", "5");
			return response;
		}
	return http::Response(500, "text/plain; charset=utf-8", "");
}

const std::string &content_security_policy()
{
	static const std::string policy = [] {
		const common::Digest digest = common::sha256(kStyle);
		return "default-src 'none'; style-src 'sha256-" +
			   common::base64({reinterpret_cast<const char *>(digest.data()), digest.size()}) +
			   "'; base-uri 'none'; frame-ancestors 'none'";
	}();
	return policy;
}

} // namespace sidecar::endpoints
