throw new Error('I do not load');

export {};
