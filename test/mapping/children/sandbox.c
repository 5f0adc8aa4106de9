/*
 * The answer of a JavaScript host that is built with V8's sandbox (Electron is) to an addon that wants an ArrayBuffer over
 * its own memory. Node.js exports the function itself, which no preloaded library can stand before: the addon under test
 * is a copy that asks for this name, which is as long.
 */
int test_create_external_arraybuffer(void) {
  const int no_external_buffers_allowed = 22;
  return no_external_buffers_allowed;
}
