// What a server answers, and what is taken from it: a record, the slots of a cluster.
#include "src/error.hpp"
#include "src/redis_entry.hpp"
#include "src/redis_slots.hpp"
#include "tests/fuzz/server.hpp"

namespace memolock::fuzz {
namespace {

void look_at(const RedisReply& reply) {
  using enum RedisReply::Type;
  if (reply.type == error) require_printable(reply.text);
  require(reply.type != string || reply.file || reply.size == reply.text.size(), "sizes are true");
  for (const RedisReply& element : reply.elements) look_at(element);
  if (const auto record = record_in({"t", "x"}, reply))
    require(record->status >= 0 && record->status <= 255, "a status is one");
  const SlotMap map = SlotMap::from(reply, {"asked", 1});
  require(SlotMap::parse(map.text()).text() == map.text(), "slots are read as they were written");
  for (const RedisNode& node : map.nodes()) require_printable(node.host.shown());
}

const Harness redis_reply("redis_reply", [](std::string_view bytes) {
  static Server server;
  RedisSocket socket = server.hear(bytes);
  RedisReplyReader reader(socket);
  try {
    for (;;) look_at(reader.next());
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::store, "a fault of the server is one of the store");
  }
});

}  // namespace
}  // namespace memolock::fuzz
