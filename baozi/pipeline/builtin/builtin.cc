#include "baozi/pipeline/builtin/builtin.h"

namespace baozi::pipeline {

void add_builtin_pipelines(Registry& target) {
  target.add("classify", &make_classify);
  target.add("embed", &make_embed);
  target.add("ocr", &make_ocr);
}

}  // namespace baozi::pipeline
