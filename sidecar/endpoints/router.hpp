// Picks the endpoint for a request, and adds what all answers have in common.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <utility>

#include "endpoints/context.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

namespace sidecar::endpoints
{

class Router
{
public:
	using Answer = std::function<boost::asio::awaitable<http::Response>(http::Request &&)>;

	// Of the first shard, which answers everything.
	explicit Router(Context context) : shard_(context), first_(std::move(context)) {}
	// Of another one: `ask_first` answers what only the first can.
	Router(ShardContext context, Answer ask_first)
		: shard_(std::move(context)), ask_first_(std::move(ask_first))
	{
	}

	// The request lives until the answer is ready.
	boost::asio::awaitable<http::Response> answer(http::Request &&request);

private:
	ShardContext shard_;
	std::optional<Context> first_; // nothing: this is another shard
	Answer ask_first_;
};

// Headers of every answer: not stored, not sniffed, not framed, no referrer
// (docs/design/threats.md, F7, F8).
http::Response hardened(http::Response response);

} // namespace sidecar::endpoints
