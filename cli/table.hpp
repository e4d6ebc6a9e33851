// Lines of fields: a table for people at a terminal, tabs for programs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.hpp"

namespace memolock {

/// How many columns of a terminal a printable text of UTF-8 takes: two for East Asian wide
/// characters and emoji, none for combining marks.
[[nodiscard]] size_t columns_of(std::string_view text);

/// A text that takes at most so many columns: shortened in its middle, because what tells names
/// apart stands at either end.
[[nodiscard]] std::string shortened(const std::string& text, size_t columns);

class Table {
 public:
  enum class Side { left, right };
  struct Column {
    const char* title;
    Side side;
    size_t least;  ///< it is not shortened below so many columns; 0: not at all
  };

  /// `width`: of the terminal, which no line exceeds; 0: fields between tabs, and no titles.
  Table(Output& output, std::vector<Column> columns, size_t width);

  /// A line of printable texts, one for each column.
  void add(std::vector<std::string> fields);
  /// The lines that are still to be written. The titles are not if there is no line.
  void finish();

 private:
  void settle();
  void fit();
  void write(const std::vector<std::string>& fields);

  Output& output_;
  std::vector<Column> columns_;
  size_t width_;
  std::vector<size_t> widths_;
  // The first lines, which tell how wide the columns are to be; to the rest it applies.
  std::vector<std::vector<std::string>> first_;
  bool settled_ = false;
};

}  // namespace memolock
