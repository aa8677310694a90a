import type { Settings } from './schema.ts';

/** The settings that hold now. A reload puts others in their place; whoever reads them reads them when they count. */
export class LiveSettings {
  #current: Settings;

  constructor(settings: Settings) {
    this.#current = settings;
  }

  get current(): Settings {
    return this.#current;
  }

  replace(settings: Settings): void {
    this.#current = settings;
  }
}
