// A shared object that is no engine, for the registry's tests.
extern "C" int unrelated() { return 1; }
