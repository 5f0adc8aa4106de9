/** The machine's storage with files that do something else where a test wants it: fail, or tell what they were asked. */
import { addonStorage } from "../../src/store/pager/addon-storage.ts";
import type { Storage, StoreFile } from "../../src/store/pager/storage.ts";

/** `alter` is given each file that is opened, to put functions of its own in place of the file's. */
export function alteredStorage(alter: (file: StoreFile, path: string) => void): Storage {
  const storage = addonStorage();
  const openFile = storage.openFile.bind(storage);
  storage.openFile = (path, access) => {
    const file = openFile(path, access);
    alter(file, path);
    return file;
  };
  return storage;
}
