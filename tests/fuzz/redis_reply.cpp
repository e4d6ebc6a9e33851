// Harness: reads a server's reply, and decodes it as a record and as the slots of a cluster.
#include "src/redis/slots.hpp"
#include "src/redis_store/entry.hpp"
#include "src/system/error.hpp"
#include "tests/fuzz/server.hpp"

namespace memolock::fuzz {
namespace {

/// Reads a value of a reply in every way. Each is either there or refused with an error.
template <typename Read>
void try_to(const Read& read) {
  try {
    read();
  } catch (const UnexpectedReply& unexpected) {
    require_printable(unexpected.what());
  }
}

void look_at(const RedisReply& reply) {
  if (const std::string* const error = reply.error()) require_printable(*error);
  try_to([&] {
    const RedisString& string = reply.string();
    require(string.file || string.size == string.text.size(), "sizes are correct");
  });
  try_to([&] { (void)reply.number(); });
  try_to([&] { (void)read_pttl(reply); });
  try_to([&] {
    const SlotMap map = SlotMap::parse_reply(reply, {"asked", 1});
    require(SlotMap::parse(map.text()).text() == map.text(),
            "slots that were written are read unchanged");
    for (const RedisNode& node : map.nodes()) require_printable(node.host.shown());
  });
  try_to([&] { require(reply.pairs().size() <= reply.list().size(), "pairs have two elements"); });
  try_to([&] {
    for (const RedisReply& element : reply.list()) look_at(element);
  });
}

void take(RedisReply reply) {
  look_at(reply);
  try_to([&] {
    const RedisRecordHash hash(std::move(reply));
    if (const auto record = hash.record({"t", "x"}))
      require(record->status >= 0 && record->status <= 255, "a status is valid");
  });
}

const Harness redis_reply("redis_reply", [](std::string_view bytes) {
  static Server server;
  RedisSocket socket = server.hear(bytes);
  RedisReplyReader reader(socket);
  try {
    for (;;) take(reader.next());
  } catch (const Error& error) {
    require(error.kind() == Error::Kind::store, "an invalid reply is a store error");
  }
});

}  // namespace
}  // namespace memolock::fuzz
