/** Three flushes, for those who watch the system calls of this process. */
import { createMapping } from "foliodb/mapping";

const mapping = createMapping({ path: process.argv[2] });
const view = mapping.view();
view.bytes[9_000] = 1;
view.flush({ offset: 9_000, length: 3_388 });
view.bytes[9_000] = 2;
view.flush({ offset: 8_200, length: 4_089 }, { durable: true });
await view.flushAsync({}, { durable: true });
view.close();
mapping.close();
