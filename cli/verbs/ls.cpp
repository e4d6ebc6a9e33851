#include <optional>

#include <fmt/format.h>

#include "cli/listing.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/store_choice.hpp"
#include "cli/table.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/store/foreign_lock.hpp"
#include "src/system/text.hpp"
#include "src/system/units.hpp"

namespace memolock {
namespace {

/// Formats the list: text or JSON.
class Lines {
 public:
  virtual ~Lines() = default;
  virtual void add(const ListedEntry& listing) = 0;
  virtual void finish() = 0;
};

/// Whether HOLDER is shown: for a run in progress and for a mark.
bool tells_holder(const Record& record) {
  return record.disposition == Disposition::running || record.disposition == Disposition::marked;
}

std::string duration_or_dash(const std::optional<Nanoseconds>& length) {
  return length ? format_duration(*length) : "-";
}

class TextLines final : public Lines {
 public:
  TextLines(Output& output, size_t width, Nanoseconds now)
      : for_people_(width > 0),
        now_(now),
        table_(output,
               {{"TAG", Table::Alignment::left, 8},
                {"ID", Table::Alignment::left, 8},
                {"STATE", Table::Alignment::left, 0},
                {"AGE", Table::Alignment::right, 0},
                {"LEFT", Table::Alignment::right, 0},
                {"SIZE", Table::Alignment::right, 0},
                {"HOLDER", Table::Alignment::left, 8}},
               width) {}

  void add(const ListedEntry& listing) override {
    const Record& record = listing.record;
    table_.add({escape_controls(record.key.tag), escape_controls(record.key.id),
                state_of(record, now_), duration_or_dash(age_or_run_time(record, now_)),
                duration_or_dash(time_left_of(record, now_)),
                for_people_ ? format_size(listing.size) : std::to_string(listing.size),
                tells_holder(record) ? holder_of(record) : "-"});
  }
  void finish() override { table_.finish(); }

 private:
  bool for_people_;
  Nanoseconds now_;
  Table table_;
};

/// One JSON array, with one element per line.
class JsonLines final : public Lines {
 public:
  JsonLines(Output& output, Nanoseconds now) : output_(output), now_(now) {}

  void add(const ListedEntry& listing) override {
    const Record& record = listing.record;
    const bool running = record.disposition == Disposition::running;
    const bool known = tells_holder(record) && !record.foreign;
    Json json;
    json.set_bytes("tag", record.key.tag);
    json.set_bytes("id", record.key.id);
    json.set("kind", record.disposition == Disposition::marked ? "mark" : "entry");
    json.set("state", state_of(record, now_));
    json.set("age", seconds(age_or_run_time(record, now_)));
    json.set("left", running ? Json() : seconds_left(time_left_of(record, now_)));
    json.set("size", listing.size);
    json.set("host", known ? Json(record.holder.host) : Json());
    json.set("pid", known ? Json(record.holder.pid) : Json());
    output_.write((any_ ? ",\n" : "[\n") + json.text());
    any_ = true;
  }
  void finish() override { output_.write(any_ ? "\n]\n" : "[]\n"); }

 private:
  Output& output_;
  Nanoseconds now_;
  bool any_ = false;
};

std::unique_ptr<Lines> lines_for(const Options& options, Output& output, Nanoseconds now) {
  if (options.json) return std::make_unique<JsonLines>(output, now);
  return std::make_unique<TextLines>(output, terminal_width(), now);
}

}  // namespace

ProcessEnd run_ls(const Options& options, const Log& log) {
  const auto store = open_store(choose_store(options, {}, log), {}, log);
  ProgressLine progress(options.log);
  store->on_progress([&](std::string_view done, size_t count) { progress.show(done, count); });
  Output output("the list");
  const auto lines = lines_for(options, output, store->now());
  const bool seen = terminal_width() > 0;
  const auto tag = options.tag_on_command_line ? std::optional(options.tag) : std::nullopt;
  store->list(tag, [&](const ListedEntry& listing) {
    if (seen) progress.end();  // from now on the lines show the progress
    lines->add(listing);
    if (listing.foreign_lock && outlasts_waiting(*listing.foreign_lock))
      log.warn("{}; {}", describe_long_lock(listing.record.key, *listing.foreign_lock),
               long_lock_advice);
  });
  progress.end();
  lines->finish();
  output.finish();
  return {};
}

}  // namespace memolock
