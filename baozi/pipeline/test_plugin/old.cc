// A plug-in built against another version of baozi.
#include <cstdint>
#include <cstdlib>

extern "C" {
extern const std::uint32_t baozi_plugin_abi;
const std::uint32_t baozi_plugin_abi = 0;
void baozi_plugin_register(void*);
void baozi_plugin_register(void*) { std::abort(); }
}
