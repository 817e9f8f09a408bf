// A shared object that is no plug-in of ours.
extern "C" int answer();
extern "C" int answer() { return 42; }
