console.log("only this");
