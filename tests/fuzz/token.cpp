// Harness: parses tokens, which identify the holder of a lock, and MEMOLOCK_HELD.
#include "src/entry/token.hpp"

#include "src/entry/held_lock.hpp"
#include "src/redis_store/entry.hpp"
#include "tests/fuzz/harness.hpp"

namespace memolock::fuzz {
namespace {

bool same(const TokenParts& a, const TokenParts& b) {
  return a.begun == b.begun && a.producer == b.producer && a.holder.host == b.holder.host &&
         a.holder.pid == b.holder.pid && a.lease == b.lease;
}

const Harness token("token", [](std::string_view text) {
  const Record run = run_of_token({"t", "x"}, std::string(text));
  if (const auto parts = parse_token(text)) {
    const auto again = parse_token(new_token(*parts));
    require(again && same(*parts, *again), "a token contains what it was made of");
    require(run.holder.host == parts->holder.host, "the token of a run is that of its holder");
  }
  (void)(wall_now() - run.begun);
});

const Harness held("held", [](std::string_view text) {
  const std::string again = format_held(parse_held(text));
  require(format_held(parse_held(again)) == again,
          "ancestors that were written are read unchanged");
});

}  // namespace
}  // namespace memolock::fuzz
