// What memolock says about its decisions. The rooms below the cli word a message; the cli prints
// it.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace memolock {

enum class Level { quiet, warn, info, debug };

class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;

  Log(Level level, Sink sink) : level_(level), sink_(std::move(sink)) {}

  [[nodiscard]] bool says(Level level) const { return level <= level_; }

  template <typename... T>
  void warn(fmt::format_string<T...> format, T&&... args) const {
    say(Level::warn, format, std::forward<T>(args)...);
  }
  template <typename... T>
  void info(fmt::format_string<T...> format, T&&... args) const {
    say(Level::info, format, std::forward<T>(args)...);
  }
  /// A line that is worded already.
  void line(Level level, std::string_view text) const {
    if (says(level)) sink_(text);
  }
  template <typename... T>
  void debug(fmt::format_string<T...> format, T&&... args) const {
    say(Level::debug, format, std::forward<T>(args)...);
  }

 private:
  template <typename... T>
  void say(Level level, fmt::format_string<T...> format, T&&... args) const {
    if (says(level)) sink_(fmt::format(format, std::forward<T>(args)...));
  }

  Level level_;
  Sink sink_;
};

/// Says each line once, for what is found out anew again and again. Keeps a reference to the log.
class OnceLog {
 public:
  explicit OnceLog(const Log& log) : log_(log) {}

  template <typename... T>
  void info(fmt::format_string<T...> format, T&&... args) {
    if (!log_.says(Level::info)) return;
    const auto [line, is_new] = told_.insert(fmt::format(format, std::forward<T>(args)...));
    if (is_new) log_.line(Level::info, *line);
  }

 private:
  const Log& log_;
  std::set<std::string> told_;
};

}  // namespace memolock
