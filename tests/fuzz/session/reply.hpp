// The replies of a server, and how some of them are corrupted before they are sent.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace memolock::fuzz {

/// The source of all random choices. The same seed gives the same choices on every machine.
class Chance {
 public:
  explicit Chance(uint64_t seed) : source_(seed) {}

  /// A number from 0 to `count` - 1.
  size_t below(size_t count) { return static_cast<size_t>(source_() % count); }
  /// True with a probability of `percent`.
  bool is(double percent) { return static_cast<double>(source_() % 100000) < percent * 1000; }
  template <typename Some>
  const auto& one_of(const Some& some) {
    return some[below(std::size(some))];
  }

 private:
  std::mt19937_64 source_;
};

struct Reply {
  enum class Kind { nil, null_array, integer, string, status, error, array, map, push, raw };

  Kind kind = Kind::nil;
  int64_t number = 0;
  std::string text;             ///< of a string, status or error; of raw: the bytes to send
  std::vector<Reply> elements;  ///< of a map: names and values alternate

  static Reply of(int64_t number) { return {Kind::integer, number, {}, {}}; }
  static Reply of(std::string text) { return {Kind::string, 0, std::move(text), {}}; }
  static Reply status(std::string text) { return {Kind::status, 0, std::move(text), {}}; }
  static Reply error(std::string text) { return {Kind::error, 0, std::move(text), {}}; }
  static Reply array(std::vector<Reply> elements) {
    return {Kind::array, 0, {}, std::move(elements)};
  }

  [[nodiscard]] std::string bytes() const;
};

/// How the replies of a session are corrupted.
struct Spoiling {
  double percent = 0;        ///< how many of them are
  std::string_view error{};  ///< the most frequent error
  uint16_t port = 0;         ///< the port to which redirections may lead
};
[[nodiscard]] Spoiling any_spoiling(Chance& chance, uint16_t port);

/// A reply to send instead of the correct one: of another kind, shorter, longer, an error, or with
/// a wrong length.
[[nodiscard]] Reply spoilt(Reply reply, Chance& chance, const Spoiling& how);

}  // namespace memolock::fuzz
