#include "baozi/serve/warmup_config.h"

namespace baozi::serve {

WarmupConfig read_warmup(YamlReader reader, const std::filesystem::path& base) {
  WarmupConfig warmup;
  warmup.enabled = reader.boolean("enabled", warmup.enabled);
  if (const std::string samples = reader.text("samples", ""); !samples.empty())
    warmup.samples = base / samples;
  warmup.budget =
      std::chrono::milliseconds(reader.integer("budget_ms", warmup.budget.count(), 0, 3'600'000));
  warmup.tolerance = reader.number("tolerance", warmup.tolerance, 0, 1e6);
  warmup.record = reader.boolean("record", warmup.record);
  warmup.redact = reader.text("redact", "");
  if (!warmup.redact.empty() && !warmup.record)
    reader.fail("'redact' is for what is recorded; say 'record: true' too", "redact");
  if (!warmup.enabled && (warmup.record || !warmup.samples.empty()))
    reader.fail("'enabled: false' leaves nothing to do for the other keys; leave them out",
                "enabled");
  reader.finish();
  return warmup;
}

}  // namespace baozi::serve
