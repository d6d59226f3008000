// Counts calls of send(2), which Asio writes with: nothing at the other end can
// tell one write from several.
#pragma once

namespace tests
{

long count_of_sends() noexcept;

} // namespace tests
