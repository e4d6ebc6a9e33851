#include "src/redis/names.hpp"

#include <fmt/format.h>

namespace memolock {
namespace {

constexpr std::string_view mark_ending("\0mark", 5);

std::string braced(const std::string& id) {
  const bool has_own = hash_tag_of(id).size() < id.size();
  return has_own ? id : '{' + id + '}';
}

/// The inverse of braced().
std::string unbraced(const std::string& id) {
  if (!id.starts_with('{') || !id.ends_with('}') || id.size() < 3) return id;
  std::string inner = id.substr(1, id.size() - 2);
  return braced(inner) == id && !check_id_in_cluster(inner) ? inner : id;
}

}  // namespace

std::string_view hash_tag_of(std::string_view name) {
  const size_t open = name.find('{');
  if (open == std::string_view::npos) return name;
  const size_t close = name.find('}', open);
  if (close == std::string_view::npos || close == open + 1) return name;
  return name.substr(open + 1, close - open - 1);
}

std::optional<std::string> check_id_in_cluster(std::string_view id) {
  if (id.starts_with('}')) return "must not begin with '}' on a cluster";
  return std::nullopt;
}

RedisNames::RedisNames(const Key& key, BracedId braced_id) {
  const std::string id = braced_id == BracedId::yes ? braced(key.id) : key.id;
  const auto named = [&](std::string_view ending) {
    return fmt::format("{}{}:{}", key.tag, ending, id);
  };
  value = named("");
  lock = named(tag_suffix::lock);
  value_channel = named(tag_suffix::notif);
  meta = named(tag_suffix::meta);
  files = named(tag_suffix::files);
  run_state = named(tag_suffix::run);
  upload = named(tag_suffix::part);
  // An id contains no NUL, so no other entry has these names. The ending changes neither the slot
  // in a cluster nor the matching patterns of an ACL.
  files_upload = upload + '\0' + "files";
  mark = run_state + std::string(mark_ending);
  state_channel = named(tag_suffix::fail);
}

std::string escape_glob(std::string_view tag) {
  std::string pattern;
  for (const char c : tag) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string scan_pattern(const std::optional<std::string>& tag) {
  if (!tag) return "*/[mlr][eou][tcn]*:*";
  return escape_glob(*tag) + "[:/]*";
}

std::optional<Key> parse_redis_name(std::string_view name, BracedId braced_id) {
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  if (name.ends_with(mark_ending)) name.remove_suffix(mark_ending.size());
  std::string_view tag = name.substr(0, colon);
  for (const std::string_view ending : {tag_suffix::lock, tag_suffix::meta, tag_suffix::run}) {
    if (tag.size() <= ending.size() || !tag.ends_with(ending)) continue;
    tag.remove_suffix(ending.size());
    break;
  }
  Key key{std::string(tag), std::string(name.substr(colon + 1))};
  if (braced_id == BracedId::yes) key.id = unbraced(key.id);
  if (check_tag(key.tag) || check_id(key.id)) return std::nullopt;
  return key;
}

}  // namespace memolock
