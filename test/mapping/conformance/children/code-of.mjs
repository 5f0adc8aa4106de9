/** The code of the error a call throws; undefined if there was none. */
export function codeOf(call) {
  try {
    call();
    return undefined;
  } catch (error) {
    return error.code;
  }
}
