// Messages about the decisions of memolock. Layers below cli/ compose them; cli/ prints them.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace memolock {

enum class Level { quiet, warn, info, debug };

/// Formats messages whose level is enabled, and passes them to a sink. Any thread may log if the
/// sink may be called by any thread.
class Log {
 public:
  using Sink = std::function<void(std::string_view line)>;

  Log(Level level, Sink sink) : level_(level), sink_(std::move(sink)) {}

  [[nodiscard]] bool is_enabled(Level level) const { return level <= level_; }

  template <typename... T>
  void warn(fmt::format_string<T...> format, T&&... args) const {
    format_line(Level::warn, format, std::forward<T>(args)...);
  }
  template <typename... T>
  void info(fmt::format_string<T...> format, T&&... args) const {
    format_line(Level::info, format, std::forward<T>(args)...);
  }
  /// Logs a line without formatting it.
  void line(Level level, std::string_view text) const {
    if (is_enabled(level)) sink_(text);
  }
  template <typename... T>
  void debug(fmt::format_string<T...> format, T&&... args) const {
    format_line(Level::debug, format, std::forward<T>(args)...);
  }

 private:
  template <typename... T>
  void format_line(Level level, fmt::format_string<T...> format, T&&... args) const {
    if (is_enabled(level)) sink_(fmt::format(format, std::forward<T>(args)...));
  }

  Level level_;
  Sink sink_;
};

/// Logs each distinct line once, for conditions that are detected repeatedly. Keeps a reference to
/// the log. Used by one thread.
class DedupLog {
 public:
  explicit DedupLog(const Log& log) : log_(log) {}

  template <typename... T>
  void info(fmt::format_string<T...> format, T&&... args) {
    if (!log_.is_enabled(Level::info)) return;
    const auto [line, is_new] = logged_.insert(fmt::format(format, std::forward<T>(args)...));
    if (is_new) log_.line(Level::info, *line);
  }

 private:
  const Log& log_;
  std::set<std::string> logged_;
};

}  // namespace memolock
