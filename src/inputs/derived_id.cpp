#include "src/inputs/derived_id.hpp"

#include "src/entry/key.hpp"
#include "src/system/hash.hpp"
#include "src/system/percent.hpp"
#include "src/system/utf8.hpp"

namespace memolock {
namespace {

constexpr size_t hash_bytes = 16;
constexpr size_t digest_bytes = 32;

}  // namespace

std::string digest_of(const std::vector<std::string_view>& words) {
  Hash hash(digest_bytes);
  for (const std::string_view word : words) hash.add(word);
  return hash.finish();
}

std::string id_stem(std::string_view command) {
  if (const size_t slash = command.rfind('/'); slash != std::string_view::npos)
    command.remove_prefix(slash + 1);
  constexpr size_t longest_name = 32;
  std::string stem;
  for (const char c : command.substr(0, longest_name)) stem += is_unreserved(c) ? c : '_';
  return stem;
}

std::string derive_id(std::string_view stem, const std::vector<KeyPart>& parts) {
  Hash hash(hash_bytes);
  hash.add("memolock id 2");
  for (const KeyPart& part : parts) {
    hash.add(part.kind);
    hash.add(part.digest);
  }
  // Does not use fmt, whose code a hit does not load otherwise.
  std::string id(truncate_utf8(stem, max_id_size - 2 * hash_bytes - 1));
  id += '-';
  return id += hash.finish();
}

}  // namespace memolock
