#include "src/redis/slots.hpp"

#include <algorithm>

#include <boost/crc.hpp>
#include <fmt/format.h>

#include "src/redis/names.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// The host of a node, as named in a reply. If the name is missing, because the node does not know
/// it, the host is the one that was asked.
RedisHost host_named(std::string_view name, uint16_t port, const RedisHost& asked) {
  const bool is_unknown = name.empty() || name == "?";
  return {is_unknown ? asked.name : std::string(name), port};
}

/// Like parse_number(), for numbers of 16 bits.
std::optional<uint16_t> short_number(std::string_view text, int least, int most) {
  const auto value = parse_number(text, least, most);
  if (!value) return std::nullopt;
  return static_cast<uint16_t>(*value);
}

std::optional<uint16_t> slot_in(std::string_view text) {
  return short_number(text, 0, slot_count - 1);
}

std::optional<uint16_t> port_in(std::string_view text) { return short_number(text, 1, UINT16_MAX); }

std::optional<SlotMap::Range> parse_range(const RedisReply& reply, const RedisHost& asked) {
  const auto [from, to, node] = reply.first<3>();
  const auto [name, its_port] = node->first<2>();
  const int64_t first = from->integer();
  const int64_t last = to->integer();
  const int64_t port = its_port->integer();
  if (first < 0 || first > last || last >= slot_count || port < 1 || port > UINT16_MAX)
    return std::nullopt;
  SlotMap::Range range{static_cast<uint16_t>(first),
                       static_cast<uint16_t>(last),
                       {host_named(name->text_or_empty(), static_cast<uint16_t>(port), asked), ""},
                       reply.list().size() > 3};
  if (node->list().size() > 2) range.node.id = node->first<3>().back()->text_or_empty();
  if (!is_printable_word(range.node.host.name)) return std::nullopt;
  if (!is_printable_word(range.node.id)) range.node.id.clear();
  return range;
}

/// Removes the next word from `line` and returns it.
std::string_view next_word(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::optional<SlotMap::Range> parse_range(std::string_view line) {
  const auto first = slot_in(next_word(line));
  const auto last = slot_in(next_word(line));
  const std::string_view id = next_word(line);
  const auto port = port_in(next_word(line));
  if (!first || !last || *first > *last || !port) return std::nullopt;
  if (!is_printable_word(id) || !is_printable_word(line)) return std::nullopt;
  return SlotMap::Range{*first, *last, {{std::string(line), *port}, std::string(id)}, false};
}

}  // namespace

uint16_t slot_of(std::string_view key) {
  const std::string_view part = hash_tag_of(key);
  boost::crc_optimal<16, 0x1021, 0, 0, false, false> crc;  // CRC-16/XMODEM
  crc.process_bytes(part.data(), part.size());
  return static_cast<uint16_t>(crc.checksum() % slot_count);
}

SlotMap SlotMap::parse_reply(const RedisReply& reply, const RedisHost& asked) {
  SlotMap map;
  if (reply.is_error()) return map;
  for (const RedisReply& element : reply.list()) {
    auto range = parse_range(element, asked);
    if (range && map.is_unassigned(*range)) map.ranges_.push_back(std::move(*range));
  }
  return map;
}

std::string SlotMap::text() const {
  std::string text;
  for (const auto& [first, last, node, has_replica] : ranges_)
    text += fmt::format("{} {} {} {} {}\n", first, last, node.id.empty() ? "-" : node.id,
                        node.host.port, node.host.name);
  return text;
}

SlotMap SlotMap::parse(std::string_view text) {
  SlotMap map;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    auto range = parse_range(text.substr(0, end));
    if (!range || end == std::string_view::npos || !map.is_unassigned(*range)) return {};
    if (range->node.id == "-") range->node.id.clear();
    map.ranges_.push_back(std::move(*range));
    text.remove_prefix(end + 1);
  }
  return map;
}

bool SlotMap::is_unassigned(const Range& range) const {
  return std::none_of(ranges_.begin(), ranges_.end(), [&](const Range& other) {
    return other.first <= range.last && range.first <= other.last;
  });
}

const RedisNode* SlotMap::node_of(uint16_t slot) const {
  for (const Range& range : ranges_)
    if (slot >= range.first && slot <= range.last) return &range.node;
  return nullptr;
}

std::vector<RedisNode> SlotMap::nodes() const {
  std::vector<RedisNode> nodes;
  for (const Range& range : ranges_)
    if (std::find(nodes.begin(), nodes.end(), range.node) == nodes.end())
      nodes.push_back(range.node);
  return nodes;
}

std::vector<RedisHost> SlotMap::hosts_without_replica() const {
  std::vector<RedisHost> hosts;
  for (const Range& range : ranges_)
    if (!range.has_replica && std::find(hosts.begin(), hosts.end(), range.node.host) == hosts.end())
      hosts.push_back(range.node.host);
  return hosts;
}

int SlotMap::missing_slots() const {
  int missing = slot_count;
  for (const Range& range : ranges_) missing -= range.last - range.first + 1;
  return std::max(missing, 0);
}

std::optional<Redirection> parse_redirection(std::string_view error, const RedisHost& asked) {
  Redirection found;
  const std::string_view word = next_word(error);
  if (word == "ASK") {
    found.kind = Redirection::Kind::ask;
  } else if (word != "MOVED") {
    return std::nullopt;
  }
  if (!slot_in(next_word(error))) return std::nullopt;
  // An IPv6 address contains colons, and has no brackets here.
  const size_t colon = error.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = port_in(error.substr(colon + 1));
  if (!port) return std::nullopt;
  found.host = host_named(error.substr(0, colon), *port, asked);
  if (!is_printable_word(found.host.name)) return std::nullopt;
  return found;
}

}  // namespace memolock
