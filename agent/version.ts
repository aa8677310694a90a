/** Of the agent, as it tells the host; a test holds it to package.json. */
export const VERSION = '0.1.0';
