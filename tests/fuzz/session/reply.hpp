// What a server says, put together of its parts, and spoilt on the way out.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace memolock::fuzz {

/// Where all that is left to chance comes from: the same of the same seed, on every machine.
class Chance {
 public:
  explicit Chance(uint64_t seed) : source_(seed) {}

  /// From 0 to `count` - 1.
  size_t below(size_t count) { return static_cast<size_t>(source_() % count); }
  /// With a probability of `percent`.
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
  std::string text;             ///< of a string, status or error; of raw: bytes as they are sent
  std::vector<Reply> elements;  ///< of a map: names and values by turns

  static Reply of(int64_t number) { return {Kind::integer, number, {}, {}}; }
  static Reply of(std::string text) { return {Kind::string, 0, std::move(text), {}}; }
  static Reply status(std::string text) { return {Kind::status, 0, std::move(text), {}}; }
  static Reply error(std::string text) { return {Kind::error, 0, std::move(text), {}}; }
  static Reply array(std::vector<Reply> elements) {
    return {Kind::array, 0, {}, std::move(elements)};
  }

  [[nodiscard]] std::string bytes() const;
};

/// How the replies of a session are spoilt.
struct Spoiling {
  double percent = 0;        ///< how many of them
  std::string_view error{};  ///< what an error says more often than anything else
  uint16_t port = 0;         ///< where a redirection may lead
};
[[nodiscard]] Spoiling any_spoiling(Chance& chance, uint16_t port);

/// Another reply in place of a good one: of another kind, shorter, longer, an error, a lie about
/// its length.
[[nodiscard]] Reply spoilt(Reply reply, Chance& chance, const Spoiling& how);

}  // namespace memolock::fuzz
